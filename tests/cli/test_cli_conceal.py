"""Decoding goes on behind damage; what is lost is told by number, time and reason."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import nvc as library
from bitstream_spec import FramePacket, StreamReader, StreamWriter, Substream
from nvc.frames import Frame
from nvc.media import open_video
from nvc_cli.__main__ import nvc

N_FRAMES, GOP = 12, 4

Change = Callable[[bytes], bytes]
P_FRAME: dict[str, Change] = {
    "qp": lambda unit: bytes((unit[0] ^ 1,)) + unit[1:],
    "not a frame": lambda unit: bytes((unit[0] ^ 0x40,)) + unit[1:],
    "extras": lambda unit: bytes((unit[0] ^ 0x80,)) + unit[1:],
    "shorter": lambda unit: unit[:1] + bytes((unit[1] - 4,)) + unit[2:],
    "longer": lambda unit: unit[:1] + bytes((unit[1] + 4,)) + unit[2:],
    "far longer": lambda unit: unit[:1] + bytes((unit[1] | 0x80,)) + unit[2:],
    "empty": lambda unit: unit[:1] + b"\x00" + unit[2:],
    "state": lambda unit: unit[:3] + bytes((unit[3] ^ 1,)) + unit[4:],
    "last word": lambda unit: unit[:-1] + bytes((unit[-1] ^ 0x80,)),
}
"""Damage to a frame of less than 128 bytes without extras."""
HEADER: dict[str, Change] = {
    f"{name}, {mask:#04x}": lambda unit, place=place, mask=mask: (  # type: ignore[misc]
        unit[:place] + bytes((unit[place] ^ mask,)) + unit[place + 1 :]
    )
    for place, name in enumerate(("kind", "length", "extras", "header_crc16", "header_crc16"))
    for mask in (0x01, 0x40, 0x80)
}
"""Damage to a frame that has extras, at every byte of its header."""


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


def frame_places(stream: Path) -> list[int]:
    """Where each frame's unit begins."""
    places = []
    with stream.open("rb") as file:
        reader = StreamReader(file)
        place = file.tell()
        for item in reader:
            if isinstance(item, FramePacket):
                places.append(place)
            place = file.tell()
    return places


def rewritten(stream: Path, target: Path, index: int, **changes: Any) -> Path:
    """The stream with other values in one frame."""
    with stream.open("rb") as source, target.open("wb") as file:
        reader = StreamReader(source)
        with StreamWriter(file, reader.header) as writer:
            for item in reader:
                if isinstance(item, FramePacket) and writer.n_frames == index:
                    item = dataclasses.replace(item, **changes)
                writer.write(item)
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
    with stream.open("rb") as source:
        packet = [item for item in StreamReader(source) if isinstance(item, FramePacket)][10]
    payload = packet.layers[0].payload
    changed = Substream(payload[:-1] + bytes((payload[-1] ^ 1,)))
    lying = rewritten(stream, tmp_path / "lying.nvc", 10, layers=(changed,))
    summary = library.decode(lying, tmp_path / "out.mkv", threads=1, start_s=0.32)
    assert summary.fault is not None
    assert summary.fault.startswith("frame 10 (pts 400) is damaged, or decodes to something else")
    assert summary.n_frames == 2
    check = library.verify(lying, threads=1)
    assert [(loss.first_frame_index, loss.n_frames) for loss in check.losses] == [(10, 2)]


def check_loss(stream: Path, index: int, change: Change, folder: Path) -> None:
    """Damage one frame: it and the rest of its GOP are lost, nothing else, and all that decode say so."""
    places = frame_places(stream)
    data = stream.read_bytes()
    end = places[index + 1] if (index + 1) % GOP else gop_offsets(stream)[(index + 1) // GOP]
    changed = change(data[places[index] : end])
    assert changed != data[places[index] : end]
    damaged, target = folder / "damaged.nvc", folder / "out.mkv"
    damaged.write_bytes(data[: places[index]] + changed + data[end:])
    n_lost = GOP - index % GOP
    whole = frames_of(stream.with_name("recon.y4m"))
    summary = library.decode(damaged, target, threads=1, conceal=True)
    shown = [checksum for _, checksum in frames_of(target)]
    expected = [checksum for _, checksum in whole]
    expected[index : index + n_lost] = [expected[index - 1]] * n_lost
    assert shown == expected
    assert [(loss.first_frame_index, loss.n_frames) for loss in summary.losses] == [(index, n_lost)]
    assert summary.losses[0].reason == summary.fault
    check = library.verify(damaged, threads=1)
    assert (check.n_frames, check.n_bad_frames) == (N_FRAMES - n_lost, n_lost)
    assert not check.is_good
    stopped = library.decode(damaged, target, threads=1, overwrite=True)
    assert stopped.fault == summary.fault
    assert [checksum for _, checksum in frames_of(target)] == [checksum for _, checksum in whole[:index]]


@pytest.mark.parametrize("damage", P_FRAME)
def test_damage_that_shows_in_decoding(stream: Path, tmp_path: Path, damage: str) -> None:
    check_loss(stream, 5, P_FRAME[damage], tmp_path)


@pytest.mark.parametrize("damage", HEADER)
def test_damage_to_the_header_of_a_keyframe(stream: Path, tmp_path: Path, damage: str) -> None:
    check_loss(stream, 4, HEADER[damage], tmp_path)


@pytest.mark.parametrize("damage", HEADER)
def test_damage_to_the_header_of_an_irregular_frame(stream: Path, tmp_path: Path, damage: str) -> None:
    irregular = rewritten(stream, tmp_path / "clip.nvc", 6, duration=7)
    (tmp_path / "recon.y4m").symlink_to(stream.with_name("recon.y4m"))
    check_loss(irregular, 6, HEADER[damage], tmp_path)


def test_without_verification_it_goes_unnoticed(stream: Path, tmp_path: Path) -> None:
    places, data = frame_places(stream), stream.read_bytes()
    damaged, target = tmp_path / "damaged.nvc", tmp_path / "out.y4m"
    damaged.write_bytes(data[: places[5]] + P_FRAME["qp"](data[places[5] :]))
    assert library.read_info(damaged).fault is None, "nothing is decoded for it"
    summary = library.decode(damaged, target, threads=1, verify=False)
    assert (summary.fault, summary.n_frames) == (None, N_FRAMES)
    shown, whole = frames_of(target), frames_of(stream.with_name("recon.y4m"))
    assert [a == b for a, b in zip(shown, whole, strict=True)] == [not 5 <= i < 8 for i in range(N_FRAMES)]


def test_unverified_frames_that_are_none_do_not_disturb_the_times(stream: Path, tmp_path: Path) -> None:
    """Behind a length that was damaged, bytes are taken for a frame at the time of the next GOP's first."""
    places, data = frame_places(stream), stream.read_bytes()
    twice = data[places[7] : gop_offsets(stream)[2]]
    damaged, target = tmp_path / "damaged.nvc", tmp_path / "out.mkv"
    damaged.write_bytes(data[: places[7]] + 3 * twice + data[gop_offsets(stream)[2] :])
    summary = library.decode(damaged, target, threads=1, verify=False, conceal=True)
    assert summary.fault is not None
    times = [pts for pts, _ in frames_of(target)]
    assert times == sorted(set(times))
    assert times[-1] == 40 * (N_FRAMES - 1)
