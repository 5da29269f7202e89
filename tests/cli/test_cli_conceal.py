"""Decoding goes on behind damage; what is lost is told by number, time and reason."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import nvc as library
from bitstream_spec import FramePacket, GopHeader, StreamReader, StreamWriter, Substream
from nvc.frames import Frame
from nvc.media import open_video
from nvc_cli.__main__ import nvc

N_FRAMES, GOP = 12, 4


def frames_of(path: Path) -> list[tuple[int, int]]:
    """pts and checksum of each frame."""
    with open_video(path) as video:
        return [(item.pts, item.checksum()) for item in video if isinstance(item, Frame)]


def gop_offsets(stream: Path) -> list[int]:
    with stream.open("rb") as file:
        return [point.byte_offset for point in StreamReader(file).read_seek_index()]


def damaged_at(stream: Path, place: int, target: Path) -> Path:
    data = bytearray(stream.read_bytes())
    data[place] ^= 0xFF
    target.write_bytes(data)
    return target


@pytest.mark.parametrize(("gop", "shown_instead"), [(0, 4), (1, 3), (2, 7)])
def test_a_lost_gop_is_filled(stream: Path, tmp_path: Path, gop: int, shown_instead: int) -> None:
    damaged = damaged_at(stream, gop_offsets(stream)[gop], tmp_path / "damaged.nvc")
    target = tmp_path / "out.mkv"
    summary = library.decode(damaged, target, threads=1, conceal=True)
    whole = frames_of(stream.with_name("recon.y4m"))
    checksums = [checksum for _, checksum in whole]
    lost = range(gop * GOP, gop * GOP + GOP)
    wanted = [checksums[shown_instead if index in lost else index] for index in range(N_FRAMES)]
    assert frames_of(target) == [(40 * index, checksum) for index, checksum in enumerate(wanted)]
    assert (summary.n_frames, summary.n_lost_frames) == (8, 4)
    (loss,) = summary.losses
    assert (loss.first_frame_index, loss.n_frames, loss.start_s) == (lost[0], 4, pytest.approx(0.16 * gop))
    assert loss.reason == summary.fault
    check = library.verify(damaged, threads=1)
    assert [(each.first_frame_index, each.n_frames) for each in check.losses] == [(lost[0], 4)]
    assert check.n_bad_frames == 4


def test_the_command_tells_what_is_lost(stream: Path, tmp_path: Path) -> None:
    damaged = damaged_at(stream, gop_offsets(stream)[2] - 5, tmp_path / "damaged.nvc")
    line = ["decode", str(damaged), str(tmp_path / "out.y4m"), "--conceal", "--threads", "1"]
    result = CliRunner().invoke(nvc, [*line, "--quiet"])
    assert result.exit_code == 1
    assert result.output.startswith("Error: frame 7")
    assert result.output.endswith(f"(concealed 1 lost frames in {line[2]})\n")
    told = CliRunner().invoke(nvc, [*line, "-y"])
    assert told.output.splitlines()[-3].startswith("lost frame 7 at 0.280 s: frame 7")
    data = CliRunner().invoke(nvc, [*line, "-y", "--quiet", "--json"])
    summary: dict[str, Any] = json.loads(data.stdout.splitlines()[0])
    assert (summary["concealed"], summary["n_lost_frames"]) == (True, 1)
    assert summary["losses"][0]["first_frame_index"] == 7
    assert (tmp_path / "out.y4m").stat().st_size == stream.with_name("recon.y4m").stat().st_size


def test_a_number_of_frames_counts_lost_ones(stream: Path, tmp_path: Path) -> None:
    damaged = damaged_at(stream, gop_offsets(stream)[1], tmp_path / "damaged.nvc")
    for n_frames in (3, 6, 9):
        library.decode(
            damaged, tmp_path / "out.mkv", threads=1, conceal=True, n_frames=n_frames, overwrite=True
        )
        assert len(frames_of(tmp_path / "out.mkv")) == n_frames


def test_frames_are_named_by_their_number_in_the_stream(stream: Path, tmp_path: Path) -> None:
    lying = tmp_path / "lying.nvc"
    with stream.open("rb") as source, lying.open("wb") as target:
        reader = StreamReader(source)
        with StreamWriter(target, reader.header) as writer:
            for item in reader:
                if isinstance(item, GopHeader):
                    writer.write(item)
                elif isinstance(item, FramePacket):
                    if writer.n_frames == 10:
                        payload = item.layers[0].payload
                        changed = Substream(payload[:-1] + bytes((payload[-1] ^ 1,)))
                        item = dataclasses.replace(item, layers=(changed,))
                    writer.write_frame(item)
    summary = library.decode(lying, tmp_path / "out.mkv", threads=1, start_s=0.32)
    assert summary.fault is not None
    assert summary.fault.startswith("frame 10 (pts 400) differs from the encoder's")
    assert summary.n_frames == 2
    check = library.verify(lying, threads=1)
    assert [(loss.first_frame_index, loss.n_frames) for loss in check.losses] == [(10, 2)]
