"""Which packets a stretch of a stream needs, and what time they get."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from bitstream_spec import AudioPacket, StreamReader
from nvc.files.part import StreamPart, WantedFrame


def chosen(
    path: Path, can_seek: bool = True, **part: Any
) -> tuple[list[tuple[int, bool, int]], list[int | None]]:
    """Return (pts, is_shown, new pts) of the frames, and the new pts of the sound."""
    reader = StreamReader(io.BytesIO(path.read_bytes()))
    items = list(StreamPart(reader, **part).read(can_seek=can_seek))
    frames = [(i.packet.pts, i.is_shown, i.pts) for i in items if isinstance(i, WantedFrame)]
    return frames, [i.pts for i in items if isinstance(i, AudioPacket)]


def test_everything(hollow_stream: Path) -> None:
    frames, sound = chosen(hollow_stream)
    assert frames == [(pts, True, pts) for pts in range(100, 132, 4)]
    assert sound == list(range(1000, 1320, 40))


def test_from_a_keyframe(hollow_stream: Path) -> None:
    frames, sound = chosen(hollow_stream, start_s=0.16)
    assert frames == [(116, True, 0), (120, True, 4), (124, True, 8), (128, True, 12)]
    assert sound == [0, 40, 80, 120]


def test_from_between_keyframes(hollow_stream: Path) -> None:
    frames, sound = chosen(hollow_stream, start_s=0.24)
    assert frames == [(116, False, -8), (120, False, -4), (124, True, 0), (128, True, 4)]
    assert sound == [0, 40]


@pytest.mark.parametrize("part", [{"start_s": 0.2}, {"start_s": 0.16, "duration_s": 0.08}])
def test_a_pipe_shows_the_same(hollow_stream: Path, part: dict[str, Any]) -> None:
    frames, sound = chosen(hollow_stream, **part)
    piped_frames, piped_sound = chosen(hollow_stream, can_seek=False, **part)
    assert [frame for frame in piped_frames if frame[1]] == [frame for frame in frames if frame[1]]
    assert piped_sound == sound


def test_until_a_time(hollow_stream: Path) -> None:
    frames, sound = chosen(hollow_stream, duration_s=0.08)
    assert frames == [(100, True, 100), (104, True, 104)]
    assert sound == [1000, 1040]


def test_a_number_of_frames_with_their_sound(hollow_stream: Path) -> None:
    frames, sound = chosen(hollow_stream, start_s=0.04, n_frames=2)
    assert [pts for pts, is_shown, _ in frames if is_shown] == [104, 108]
    assert sound == [0, 40]


def test_behind_the_end(hollow_stream: Path) -> None:
    frames, sound = chosen(hollow_stream, start_s=5)
    assert not [frame for frame in frames if frame[1]]
    assert not sound
