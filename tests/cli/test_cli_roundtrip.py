"""Encoding and decoding in separate processes: exact frames, parts, pipes, JSON."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import nvc
from nvc import Frame
from nvc.files.summary import FrameReport
from nvc.media import open_video


def command(*arguments: str | Path, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    line = [sys.executable, "-m", "nvc_cli", *map(str, arguments)]
    return subprocess.run(line, input=stdin, capture_output=True, timeout=120)


def frames_of(path: Path) -> list[Frame]:
    with open_video(path) as video:
        return [item for item in video if isinstance(item, Frame)]


def flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :]


def planes_of(path: Path) -> list[list[Any]]:
    return [[plane.tolist() for plane in frame.planes] for frame in frames_of(path)]


def test_separate_processes_agree(clip: Path, tiny_model: str, tmp_path: Path) -> None:
    coded, recon, decoded = tmp_path / "a.nvc", tmp_path / "recon.y4m", tmp_path / "decoded.mkv"
    made = command(
        "encode", clip, coded, "--model", tiny_model, "-n", "6", "-q", "24", "--recon", recon, "--json"
    )
    assert made.returncode == 0, made.stderr
    summary = json.loads(made.stdout)
    assert summary["n_frames"] == 6
    assert summary["size_bytes"] == coded.stat().st_size
    assert summary["bpp"] == pytest.approx(8 * coded.stat().st_size / (6 * 64 * 48))
    assert summary["psnr_y_db"] > 20
    shown = command("decode", coded, decoded, "--threads", "1", "--json")
    assert shown.returncode == 0, shown.stderr
    assert json.loads(shown.stdout)["fault"] is None
    assert planes_of(decoded) == planes_of(recon)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_pipes(clip: Path, stream: Path, tiny_model: str) -> None:
    shown = command("decode", "-", "-", "--threads", "1", stdin=stream.read_bytes())
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout == stream.with_name("recon.y4m").read_bytes()
    coded = command(
        "encode", "-", "-", "--model", tiny_model, "--threads", "1", "-n", "2", stdin=shown.stdout
    )
    assert coded.returncode == 0, coded.stderr
    assert coded.stdout.startswith(b"\x89NVC\r\n")


def test_a_size_and_a_region(clip: Path, tiny_model: str, tmp_path: Path) -> None:
    coded = tmp_path / "a.nvc"
    arguments = [
        "--model",
        tiny_model,
        "--size",
        "1.2k",
        "--roi",
        "16,16,32,32,-8",
        "--threads",
        "1",
        "--json",
    ]
    made = command("encode", clip, coded, *arguments)
    assert made.returncode == 0, made.stderr
    assert json.loads(made.stdout)["size_bytes"] == coded.stat().st_size == pytest.approx(1200, rel=0.05)
    told = json.loads(command("info", coded, "--json").stdout)
    assert 0 < told["substream_bytes"]["quality_map"] < 40
    assert nvc.verify(coded, threads=1).is_good


def test_several_passes_need_a_file(clip: Path, tmp_path: Path) -> None:
    done = command("encode", "-", tmp_path / "a.nvc", "--size", "1k", stdin=b"")
    assert done.returncode == 1
    assert b"give a file, not standard input" in done.stderr


def test_a_mask_that_is_not_there(clip: Path, tiny_model: str, tmp_path: Path) -> None:
    done = command("encode", clip, tmp_path / "a.nvc", "--model", tiny_model, "--roi", "nowhere.png")
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.splitlines()[-1] == b"Error: cannot read nowhere.png: no such file"
    assert not list(tmp_path.iterdir())


def test_reader_that_leaves(stream: Path) -> None:
    line = [sys.executable, "-m", "nvc_cli", "decode", str(stream), "-", "--threads", "1"]
    read_end, write_end = os.pipe()
    os.close(read_end)
    done = subprocess.run(line, stdout=write_end, stderr=subprocess.PIPE, timeout=120, text=True)
    os.close(write_end)
    assert done.returncode == 1
    assert [text for text in done.stderr.splitlines() if not text.startswith("Note")] == [
        "Error: cannot write <stdout>: broken pipe"
    ]


@pytest.mark.parametrize(
    ("part", "wanted"),
    [
        ({"start_s": 0.2}, slice(5, 12)),
        ({"start_s": 0.17}, slice(5, 12)),
        ({"start_s": 0.32, "duration_s": 0.08}, slice(8, 10)),
        ({"duration_s": 0.12}, slice(0, 3)),
        ({"start_s": 0.04, "n_frames": 2}, slice(1, 3)),
    ],
)
def test_a_part_is_those_frames(stream: Path, tmp_path: Path, part: dict[str, Any], wanted: slice) -> None:
    target = tmp_path / "part.mkv"
    summary = nvc.decode(stream, target, threads=1, **part)
    assert planes_of(target) == planes_of(stream.with_name("recon.y4m"))[wanted]
    assert summary.n_frames == wanted.stop - wanted.start


def test_verify_and_progress(stream: Path) -> None:
    reports: list[FrameReport] = []
    summary = nvc.verify(stream, threads=1, on_frame=reports.append)
    assert summary.is_good
    assert (summary.n_frames, summary.n_bad_frames) == (12, 0)
    assert [report.n_done for report in reports] == list(range(1, 13))
    assert [report.frame_type for report in reports] == list("IPPP" * 3)


def test_verify_goes_on_behind_a_fault(stream: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.nvc"
    for place in range(stream.stat().st_size):
        damaged.write_bytes(flipped(stream.read_bytes(), place))
        with contextlib.suppress(nvc.StreamError):
            if (nvc.read_info(damaged).fault or "").startswith("frame 1:"):
                break
    # The second frame's GOP is lost from there on, the other two GOPs are not.
    summary = nvc.verify(damaged, threads=1)
    assert not summary.is_good
    assert summary.finished
    assert (summary.n_frames, summary.n_bad_frames) == (9, 3)
    assert len(summary.faults) == 1
