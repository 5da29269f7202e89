from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from bench_samples import write_clip

from nvc.bench import Plan, ReferenceRows, benchmark, find_external, make_nvc_codec, run, select_anchors
from nvc.bench.measurement import Measurement
from nvc.bench.results import JSON, read_csv
from nvc.bench.runner import Progress, picture_path
from nvc.errors import ConfigError, MediaError, ModelError

NONE = ReferenceRows("", (), {})


def plan_of(out: Path, *clips: Path, qps: tuple[int, ...] = (24, 36)) -> Plan:
    return Plan(clips, tuple(select_anchors(["x264_medium_ld"], qps={"x264": qps})), out)


def figures(row: Measurement) -> tuple[object, ...]:
    return (*row.key, row.size_bytes, row.psnr_db, row.error)


def test_second_run_measures_nothing(clip_file: Path, tmp_path: Path) -> None:
    plan = plan_of(tmp_path, clip_file)
    first = list(run(plan))
    second = list(run(plan))
    assert [progress.reused for progress in first] == [False, False]
    assert [progress.reused for progress in second] == [True, True]
    assert [progress.row for progress in second] == [progress.row for progress in first]
    assert [(p.done, p.total) for p in second] == [(1, 2), (2, 2)]
    assert not list(tmp_path.glob(".raw-*"))


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="the system does not tell what runs")
def test_leftovers_of_killed_runs_are_removed(clip_file: Path, tmp_path: Path) -> None:
    for process in (2**22 + 1, os.getpid()):  # one that cannot be, and one that is
        (tmp_path / f".raw-{process}-x").mkdir()
    list(run(plan_of(tmp_path, clip_file)))
    assert [path.name for path in tmp_path.glob(".raw-*")] == [f".raw-{os.getpid()}-x"]


def test_other_settings_are_measured_anew(clip_file: Path, tmp_path: Path) -> None:
    list(run(plan_of(tmp_path, clip_file)))
    other = replace(plan_of(tmp_path, clip_file), keyint=2)
    assert [progress.reused for progress in run(other)] == [False, False]
    assert [progress.reused for progress in run(plan_of(tmp_path, clip_file, qps=(24, 30)))] == [True, False]


def test_changed_clip_of_the_same_name_is_measured_anew(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    out = tmp_path / "out"
    list(run(plan_of(out, write_clip(tmp_path / "a" / "scene.y4m", seed=1))))
    rows = run(plan_of(out, write_clip(tmp_path / "b" / "scene.y4m", seed=2)))
    assert [progress.reused for progress in rows] == [False, False]


def test_row_without_its_picture_is_measured_anew(clip_file: Path, tmp_path: Path) -> None:
    (row, _) = (progress.row for progress in run(plan_of(tmp_path, clip_file)))
    picture_path(tmp_path, row).unlink()
    assert [progress.reused for progress in run(plan_of(tmp_path, clip_file))] == [True, False]


def test_interrupted_run_goes_on(clip_file: Path, tmp_path: Path) -> None:
    def interrupt(progress: Progress) -> None:
        raise KeyboardInterrupt

    plan = plan_of(tmp_path, clip_file)
    with pytest.raises(KeyboardInterrupt):
        benchmark(plan, NONE, [], interrupt)
    (kept,) = read_csv(tmp_path / "results.csv")
    assert kept.qp == 24
    reused = []
    benchmark(plan, NONE, [], lambda progress: reused.append(progress.reused))
    assert reused == [True, False]


@pytest.mark.slow
def test_jobs_give_the_same_rows(clip_file: Path, tmp_path: Path) -> None:
    alone = list(run(plan_of(tmp_path / "one", clip_file)))
    together = list(run(replace(plan_of(tmp_path / "two", clip_file), jobs=2)))
    assert {figures(p.row) for p in together} == {figures(p.row) for p in alone}


def test_broken_encoder_does_not_stop_the_rest(clip_file: Path, template: Path, tmp_path: Path) -> None:
    external, _ = find_external({}, [template], {"fake": (7, 2)})
    plan = Plan((clip_file,), (*external, *select_anchors(["mpeg2"], qps={"mpeg2": (4,)})), tmp_path / "out")
    outcome = benchmark(plan, NONE, [])
    assert [(row.codec, row.qp, bool(row.error)) for row in outcome.rows] == [
        ("fake_ld", 2, False),
        ("fake_ld", 7, True),
        ("mpeg2_ld", 4, False),
    ]
    assert "no licence for this picture" in (tmp_path / "out" / "report.html").read_text()
    assert [row.qp for row in outcome.failures] == [7]


def test_unreadable_clip_keeps_the_rows_before_it(clip_file: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mkv"
    broken.write_bytes(b"no video")
    with pytest.raises(MediaError, match=r"broken\.mkv"):
        benchmark(plan_of(tmp_path / "out", clip_file, broken), NONE, [])
    assert (tmp_path / "out" / JSON).exists()


def test_no_jobs(clip_file: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="jobs 0 is not positive"):
        replace(plan_of(tmp_path, clip_file), jobs=0)


def test_unknown_model() -> None:
    with pytest.raises(ModelError):
        make_nvc_codec("nosuch", (32,), "medium", "cpu", 1)


@pytest.fixture
def tiny() -> str:
    from nvc.model_store import installed_models

    if all(entry.name != "tiny" for entry in installed_models()):
        pytest.skip("the weights of the model 'tiny' are not installed")
    return "tiny"


def test_nvc_is_measured_by_its_files(clip_file: Path, tmp_path: Path, tiny: str) -> None:
    codec = make_nvc_codec(tiny, (20, 44), "fast", "cpu", 1)
    fine, coarse = (progress.row for progress in run(Plan((clip_file,), (codec,), tmp_path)))
    assert (fine.error, coarse.error) == ("", "")
    assert (fine.codec, fine.protocol) == ("nvc_tiny_fast", "ld")
    assert fine.size_bytes is not None
    assert coarse.size_bytes is not None
    assert fine.size_bytes > coarse.size_bytes
    assert sum(frame.size_bytes or 0 for frame in fine.frames) < fine.size_bytes  # the rest is headers
    assert fine.decode_peak_mib is None or fine.decode_peak_mib > 10


def test_layers_are_measured_by_their_files(clip_file: Path, tmp_path: Path, tiny: str) -> None:
    codecs = make_nvc_codec(tiny, (20,), "fast", "cpu", 1).layered(2)
    base, stack = (progress.row for progress in run(Plan((clip_file,), tuple(codecs), tmp_path)))
    assert (base.error, stack.error) == ("", "")
    assert (base.codec, stack.codec) == ("nvc_tiny_fast_layers2_first1", "nvc_tiny_fast_layers2")
    assert base.size_bytes is not None
    assert stack.size_bytes is not None
    assert base.psnr_db is not None
    assert stack.psnr_db is not None
    assert base.size_bytes < 0.7 * stack.size_bytes
    assert base.psnr_db < stack.psnr_db - 1
