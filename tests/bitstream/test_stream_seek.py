"""The seek index and what it points to."""

from __future__ import annotations

import dataclasses
import io
from typing import Any

import pytest
from stream_samples import HEADER, ITEMS, build

from bitstream_spec import CorruptStream, SeekPoint, StreamReader
from bitstream_spec.sections import build_stream_header

SAMPLE = build()
POINTS = StreamReader(io.BytesIO(SAMPLE)).read_seek_index()


def test_index_names_the_gops() -> None:
    assert [(point.first_frame_index, point.pts) for point in POINTS] == [(0, -512), (2, 512)]
    assert POINTS[0].byte_offset == len(build_stream_header(HEADER))


@pytest.mark.parametrize("junk_after", [b"", b"junk"], ids=["unfinished", "damaged end"])
def test_index_without_a_trailer(junk_after: bytes) -> None:
    data = SAMPLE + junk_after if junk_after else build(finish=False)
    assert StreamReader(io.BytesIO(data)).read_seek_index() == POINTS


def test_index_of_a_stream_cut_within_a_gop() -> None:
    data = SAMPLE[: POINTS[1].byte_offset + 3]
    assert StreamReader(io.BytesIO(data)).read_seek_index() == POINTS[:1]


def test_reading_the_index_does_not_move() -> None:
    reader = StreamReader(io.BytesIO(SAMPLE))
    first = next(reader)
    reader.read_seek_index()
    assert (first, *reader) == ITEMS


def test_seek_forth_and_back() -> None:
    reader = StreamReader(io.BytesIO(SAMPLE))
    reader.seek(POINTS[1])
    assert tuple(reader) == ITEMS[4:]
    assert reader.finished
    reader.seek(POINTS[0])
    assert not reader.finished
    assert tuple(reader) == ITEMS


def test_stream_that_begins_within_a_file() -> None:
    file = io.BytesIO(b"something else" + SAMPLE)
    file.seek(14)
    reader = StreamReader(file)
    assert reader.read_seek_index() == POINTS
    reader.seek(POINTS[1])
    assert tuple(reader) == ITEMS[4:]


@pytest.mark.parametrize(
    "change",
    [
        {"byte_offset": 0},
        {"byte_offset": POINTS[1].byte_offset + 1},
        {"byte_offset": POINTS[1].byte_offset + 26},
        {"byte_offset": len(SAMPLE)},
        {"byte_offset": 2**64 - 1},
        {"first_frame_index": 3},
        {"pts": 0},
    ],
    ids=str,
)
def test_wrong_seek_point_is_refused(change: dict[str, Any]) -> None:
    point: SeekPoint = dataclasses.replace(POINTS[1], **change)
    with pytest.raises(CorruptStream, match="GOP at byte"):
        StreamReader(io.BytesIO(SAMPLE)).seek(point)
