"""Several jobs make the same stream and the same pictures as one."""

from __future__ import annotations

from pathlib import Path

import nvc


def test_the_same_stream_and_the_same_pictures(
    clip: Path, stream: Path, tiny_model: str, tmp_path: Path
) -> None:
    coded, recon, decoded = (tmp_path / name for name in ("a.nvc", "recon.y4m", "decoded.y4m"))
    config = nvc.EncoderConfig(tiny_model, qp=30, keyint=4, scene_cut=False)
    made = nvc.encode(clip, coded, config, reconstruction=recon, jobs=2)
    assert coded.read_bytes() == stream.read_bytes()
    assert recon.read_bytes() == stream.with_name("recon.y4m").read_bytes()
    assert made.n_frames == 12
    shown = nvc.decode(coded, decoded, jobs=2)
    assert decoded.read_bytes() == recon.read_bytes()
    assert (shown.n_frames, shown.fault) == (12, None)
