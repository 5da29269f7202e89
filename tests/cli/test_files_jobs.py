"""How work is shared among processes where nobody says."""

from __future__ import annotations

import multiprocessing
from fractions import Fraction
from pathlib import Path

import pytest

import nvc
from bitstream_spec import SeekPoint, StreamHeader, Trailer
from nvc.files import jobs
from nvc.files.jobs import Extent, Jobs, choose_jobs

_LONG = Extent.of_video(416, 240, n_frames=1000, keyint=250)


@pytest.fixture
def four_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "_n_processors", lambda: 4)
    monkeypatch.setattr(jobs, "_n_that_fit", lambda: 100)


@pytest.mark.usefixtures("four_processors")
@pytest.mark.parametrize(
    ("asked_jobs", "threads", "extent", "expected"),
    [
        (1, 0, _LONG, Jobs(1, 0)),
        (1, 3, _LONG, Jobs(1, 3)),
        (3, 0, None, Jobs(3, 1)),
        (3, 2, None, Jobs(3, 2)),
        (0, 0, None, Jobs(1, 0)),
        (0, 0, _LONG, Jobs(4, 1)),
        (0, 1, _LONG, Jobs(1, 1)),
        (0, 3, _LONG, Jobs(3, 1)),
        (0, 0, Extent.of_video(416, 240, n_frames=500, keyint=250), Jobs(2, 2)),
        (0, 0, Extent.of_video(416, 240, n_frames=501, keyint=250), Jobs(3, 1)),
        (0, 0, Extent.of_video(416, 240, n_frames=1000, keyint=-1), Jobs(1, 0)),
        (0, 0, Extent.of_video(416, 240, n_frames=96, keyint=32), Jobs(1, 0)),
        (0, 0, Extent.of_video(1280, 720, n_frames=1000, keyint=250), Jobs(4, 1)),
        (0, 0, Extent.of_video(1920, 1080, n_frames=1000, keyint=250), Jobs(1, 0)),
    ],
)
def test_shares(asked_jobs: int, threads: int, extent: Extent | None, expected: Jobs) -> None:
    assert choose_jobs(asked_jobs, threads, "cpu", extent) == expected


@pytest.mark.usefixtures("four_processors")
def test_no_more_processes_than_memory_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "_n_that_fit", lambda: 2)
    assert choose_jobs(0, 0, "cpu", _LONG) == Jobs(2, 2)
    monkeypatch.setattr(jobs, "_n_that_fit", lambda: 0)
    assert choose_jobs(0, 0, "cpu", _LONG) == Jobs(1, 0)


@pytest.mark.usefixtures("four_processors")
def test_one_process_for_a_card() -> None:
    assert choose_jobs(0, 0, "cuda", _LONG) == Jobs(1, 0)


@pytest.mark.parametrize(
    ("n_frames", "expected"), [(None, (60, 3)), (99, (60, 3)), (21, (21, 2)), (20, (20, 1))]
)
def test_the_extent_of_a_stream(n_frames: int | None, expected: tuple[int, int]) -> None:
    header = StreamHeader(bytes(8), "tiny", 64, 48, Fraction(1, 25))
    points = tuple(SeekPoint(first, first, 100 + first) for first in (0, 20, 40))
    extent = Extent.of_stream(header, Trailer(60, 60, points), n_frames)
    assert (extent.n_frames, extent.n_gops) == expected


def test_several_processes_are_chosen_and_change_nothing(
    clip: Path, stream: Path, tiny_model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "_n_processors", lambda: 2)
    monkeypatch.setattr(jobs, "_n_that_fit", lambda: 2)
    monkeypatch.setattr(jobs, "_PIXELS_PER_JOB", 1)
    n_processes = []

    def on_frame(_: object) -> None:
        n_processes.append(len(multiprocessing.active_children()))

    coded, decoded = tmp_path / "a.nvc", tmp_path / "decoded.y4m"
    config = nvc.EncoderConfig(tiny_model, qp=30, keyint=4, scene_cut=False)
    nvc.encode(clip, coded, config, jobs=0, on_frame=on_frame)
    nvc.decode(coded, decoded, jobs=0, on_frame=on_frame)
    assert nvc.verify(coded, jobs=0, on_frame=on_frame).is_good
    assert set(n_processes) == {2}
    assert coded.read_bytes() == stream.read_bytes()
    assert decoded.read_bytes() == stream.with_name("recon.y4m").read_bytes()
