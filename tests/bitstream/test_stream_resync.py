"""Behind a damaged unit header iteration goes on at the next whole GOP header, in files and in pipes."""

from __future__ import annotations

import io

import pytest
from stream_samples import HEADER, ITEMS, Item, build

from bitstream_spec import CorruptStream, StreamError, StreamReader
from bitstream_spec.sections import build_stream_header

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


def test_goes_on_at_the_next_gop() -> None:
    damaged = SAMPLE[:FIRST_UNIT] + b"\xff" + SAMPLE[FIRST_UNIT + 1 :]
    items, faults, reader = read_on(damaged)
    assert items == list(ITEMS[4:])
    assert len(faults) == 1
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
