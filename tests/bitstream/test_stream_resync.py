"""Behind a damaged unit header iteration goes on at the next whole GOP header, in files and in pipes."""

from __future__ import annotations

import dataclasses
import io
import random

import pytest
from stream_samples import HEADER, ITEMS, Item, build

from bitstream_spec import (
    CorruptStream,
    FramePacket,
    FrameType,
    GopHeader,
    Layer,
    StreamError,
    StreamReader,
    Substream,
    schema,
)
from bitstream_spec.sections import build_frame, build_gop, build_stream_header, build_unit_header

SAMPLE = build()
FIRST_UNIT = len(build_stream_header(HEADER))
SECOND_GOP = StreamReader(io.BytesIO(SAMPLE)).read_seek_index()[1].byte_offset


class Pipe(io.BytesIO):
    def seekable(self) -> bool:
        return False

    def seek(self, *_: object) -> int:
        raise OSError("a pipe cannot seek")


def read_on(data: bytes) -> tuple[list[Item], list[str], StreamReader]:
    reader = StreamReader(Pipe(data))
    items, faults = [], []
    while True:
        try:
            items.append(next(reader))
        except StopIteration:
            return items, faults, reader
        except StreamError as error:
            faults.append(str(error))
            reader.resync()


@pytest.mark.parametrize(("kind", "n_faults"), [(0xBF, 1), (0xFF, 2)], ids=["none", "a frame's"])
def test_goes_on_at_the_next_gop(kind: int, n_faults: int) -> None:
    damaged = SAMPLE[:FIRST_UNIT] + bytes((kind,)) + SAMPLE[FIRST_UNIT + 1 :]
    items, faults, reader = read_on(damaged)
    assert items == list(ITEMS[4:])
    assert len(faults) == n_faults
    assert reader.finished
    assert reader.n_frames == 4


@pytest.mark.parametrize("n_bytes", [1, 3, 5, 100, 70_000])
def test_bytes_too_many(n_bytes: int) -> None:
    damaged = SAMPLE[:SECOND_GOP] + bytes(n_bytes) + SAMPLE[SECOND_GOP:]
    items, faults, reader = read_on(damaged)
    assert items == list(ITEMS)
    assert len(faults) == 1
    assert reader.finished


def test_what_only_looks_like_a_gop_is_passed_over() -> None:
    marker = SAMPLE[SECOND_GOP : SECOND_GOP + 4]
    lure = (marker * 3 + SAMPLE[FIRST_UNIT : FIRST_UNIT + 25]) * 4  # the first GOP again: it lies behind
    damaged = SAMPLE[: SECOND_GOP - 4] + lure + SAMPLE[SECOND_GOP:]
    items, _, reader = read_on(damaged)
    assert items[-3:] == list(ITEMS[4:])
    assert reader.finished


def test_nothing_to_go_on_with() -> None:
    reader = StreamReader(io.BytesIO(SAMPLE[:FIRST_UNIT] + bytes(1000)))
    with pytest.raises(CorruptStream):
        next(reader)
    assert not reader.resync()
    assert list(reader) == []


def test_what_follows_the_trailer_is_not_searched() -> None:
    reader = StreamReader(io.BytesIO(SAMPLE + SAMPLE[SECOND_GOP:]))
    with pytest.raises(CorruptStream, match="bytes follow the end"):
        list(reader)
    assert not reader.resync()


def test_without_a_fault_nothing_moves() -> None:
    reader = StreamReader(io.BytesIO(SAMPLE))
    first = next(reader)
    assert reader.resync()
    assert (first, *reader) == ITEMS


def test_the_trailer_is_read_from_the_end() -> None:
    reader = StreamReader(io.BytesIO(SAMPLE))
    first = next(reader)
    trailer = reader.read_trailer()
    assert trailer is not None
    assert trailer.n_frames == 4
    assert (first, *reader) == ITEMS
    assert reader.trailer == trailer
    assert StreamReader(io.BytesIO(SAMPLE[:-1])).read_trailer() is None


def gops_of_noise(n_gops: int = 3) -> tuple[bytes, list[list[Item]]]:
    """A stream of one layer with payloads as coders make them, and its items by GOP."""
    chance = random.Random(1)
    gops: list[list[Item]] = []
    for index in range(n_gops):
        gops.append([GopHeader(index, 4 * index, 2048 * index, 512)])
        for place, n_bytes in enumerate((70, 20, 220, 20)):
            kind = FrameType.P if place else FrameType.I
            payload = Substream(chance.randbytes(n_bytes))
            gops[-1].append(FramePacket(kind, 2048 * index + 512 * place, 512, 30, (payload,)))
    header = dataclasses.replace(HEADER, layers=(Layer(),))
    return build(header, tuple(item for gop in gops for item in gop)), gops


def test_a_damaged_kind_or_length_costs_no_other_gop() -> None:
    """Whatever the bytes behind it are then taken for, they never hide the next GOP."""
    data, gops = gops_of_noise()
    place = StreamReader(io.BytesIO(data)).read_seek_index()[1].byte_offset
    for item in gops[1]:
        if isinstance(item, GopHeader):
            body = build_gop(item)
            header = build_unit_header(schema.GOP_UNIT, len(body))
        else:
            header, body = build_frame(item, 1, item.pts, 512)  # type: ignore[arg-type, union-attr]
        assert data[place:].startswith(header + body)
        for position in range(place, place + len(header)):
            for value in {*range(256)} - {data[position]}:
                items, _, _ = read_on(data[:position] + bytes((value,)) + data[position + 1 :])
                assert items[:5] == gops[0]
                assert items[-5:] == gops[2]
        place += len(header + body)


def test_a_gop_inside_of_a_frame_ends_it() -> None:
    """Also if it begins in one frame and ends in another, in files and pipes of few bytes at a time."""
    data, gops = gops_of_noise()
    second = StreamReader(io.BytesIO(data)).read_seek_index()[1].byte_offset
    kind = schema.FRAME_UNIT
    for n_bytes in range(3, 22):
        for first in (build_unit_header(kind, n_bytes), build_unit_header(kind, 5) + bytes(5)):
            damaged = data[:second] + first + data[second:]
            items, faults, reader = read_on(damaged)
            assert items[-10:] == gops[1] + gops[2]
            assert reader.finished
            assert faults


def test_frames_too_many_or_too_few_before_a_gop() -> None:
    """Its number of frames before it is the right one; the GOP is read all the same."""
    data, gops = gops_of_noise()
    points = StreamReader(io.BytesIO(data)).read_seek_index()
    first, second, third = (point.byte_offset for point in points)
    frame = data[second - 22 : second]
    assert frame[1] == 20
    for damaged, n_kept in (
        (data[:second] + frame + data[second:], 6),
        (data[: second - 22] + data[second:], 4),
    ):
        items, faults, reader = read_on(damaged)
        assert items[n_kept:] == gops[1] + gops[2]
        assert len(faults) == 1
        assert "expected frame" in faults[0]
        assert reader.finished
    items, _, _ = read_on(data[:first] + data[second:third] + data[first:])
    assert items == gops[1] + gops[2]
