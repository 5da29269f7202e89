from __future__ import annotations

from pathlib import Path

import pytest
from bench_samples import write_clip

from nvc.bench import Plan, run, select_anchors
from nvc.bench.measures import vmaf_command


@pytest.mark.skipif(vmaf_command() is None, reason="neither vmaf nor an ffmpeg with libvmaf is installed")
def test_vmaf_of_each_frame(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "scene.y4m")
    codecs = tuple(select_anchors(["x264_medium_ld"], qps={"x264": (20, 40)}))
    fine, coarse = (progress.row for progress in run(Plan((clip,), codecs, tmp_path / "out")))
    assert (fine.error, coarse.error) == ("", "")
    assert fine.vmaf is not None
    assert coarse.vmaf is not None
    assert 100 >= fine.vmaf > coarse.vmaf > 0
    values = [frame.vmaf for frame in coarse.frames if frame.vmaf is not None]
    assert sum(values) / fine.n_frames == pytest.approx(coarse.vmaf, abs=1e-3)
