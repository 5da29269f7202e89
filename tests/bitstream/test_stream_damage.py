"""Cut, flipped and hostile streams: only a StreamError may come out, soon and in little memory."""

from __future__ import annotations

import io
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stream_samples import HEADER, ITEMS, build, read

from bitstream_spec import CorruptStream, FramePacket, GopHeader, StreamError, StreamReader, TruncatedStream
from bitstream_spec.schema import FRAME_UNIT, HAS_EXTRAS, IGNORABLE, PREAMBLE_LENGTH, SHORT_CRC_LENGTH
from bitstream_spec.sections import build_stream_header, build_unit_header

SAMPLE = build()
HEADER_BYTES = build_stream_header(HEADER)


@pytest.mark.parametrize("length", range(len(SAMPLE)))
def test_every_prefix_is_truncated(length: int) -> None:
    with pytest.raises(TruncatedStream):
        read(SAMPLE[:length])


def test_every_prefix_yields_its_whole_units_if_allowed() -> None:
    for length in range(len(HEADER_BYTES), len(SAMPLE)):
        reader = StreamReader(io.BytesIO(SAMPLE[:length]), allow_unfinished=True)
        items = tuple(reader)
        assert items == ITEMS[: len(items)]
        assert not reader.finished
        assert reader.trailer is None


def test_truncation_says_how_much_was_whole() -> None:
    with pytest.raises(TruncatedStream, match="after 4 whole frames"):
        read(build(finish=False))


@pytest.mark.parametrize("mask", [0x01, 0x80, 0xFF])
def test_every_flipped_byte_is_noticed(mask: int) -> None:
    for position in range(len(SAMPLE)):
        damaged = bytearray(SAMPLE)
        damaged[position] ^= mask
        with pytest.raises(StreamError):
            read(bytes(damaged))


def test_every_flipped_byte_is_noticed_or_flagged() -> None:
    n_flagged = 0
    for position in range(len(SAMPLE)):
        damaged = bytearray(SAMPLE)
        damaged[position] ^= 0x10
        try:
            items = read(bytes(damaged), strict=False)
        except StreamError:
            continue
        frames = [item for item in items if isinstance(item, FramePacket)]
        assert [part.intact for frame in frames for part in frame.substreams].count(False) == 1
        n_flagged += 1
    upper = [item.layers[1].payload for item in ITEMS if isinstance(item, FramePacket)]
    assert n_flagged == sum(len(payload) + SHORT_CRC_LENGTH for payload in upper)


def test_damaged_layer_is_named() -> None:
    with pytest.raises(CorruptStream, match="frame 0: layer 1 is damaged"):
        read(SAMPLE.replace(b"upper", b"uppar", 1))


def test_reading_goes_on_at_the_next_gop() -> None:
    reader = StreamReader(io.BytesIO(SAMPLE.replace(b"base", b"bass", 1)))
    got, n_errors = [], 0
    while not reader.finished:
        try:
            got.append(next(reader))
        except CorruptStream:
            n_errors += 1
        except StopIteration:
            break
    assert n_errors == 2, "the damaged I frame and the P frame that needs it"
    assert got == [ITEMS[0], ITEMS[2], *ITEMS[4:]]
    assert isinstance(got[2], GopHeader)


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_mutations_raise_nothing_else(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(SAMPLE)))
    length = data.draw(st.integers(0, 8))
    mutated = SAMPLE[:start] + data.draw(st.binary(max_size=8)) + SAMPLE[start + length :]
    try:
        items = read(mutated)
    except StreamError:
        return
    assert mutated == SAMPLE
    assert tuple(items) == ITEMS


@settings(deadline=None, max_examples=300)
@given(st.sampled_from((1, 3, 4, FRAME_UNIT, FRAME_UNIT | HAS_EXTRAS)), st.binary(max_size=80))
def test_any_unit_body_raises_nothing_else(kind: int, body: bytes) -> None:
    data = HEADER_BYTES + build_unit_header(kind, len(body)) + body
    with pytest.raises(StreamError):
        read(data)


@pytest.mark.parametrize(
    "data",
    [
        SAMPLE[: PREAMBLE_LENGTH - 4]
        + (2**20 - PREAMBLE_LENGTH).to_bytes(4, "little")
        + SAMPLE[PREAMBLE_LENGTH:],
        HEADER_BYTES + build_unit_header(FRAME_UNIT, 2**26),
        HEADER_BYTES + build_unit_header(IGNORABLE, 2**26) + b"some bytes",
        HEADER_BYTES + b"\x02" + b"\xff" * 200,
    ],
    ids=["header", "frame", "ignorable", "endless length"],
)
def test_claimed_lengths_cost_no_memory(data: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(StreamError):
            read(data)
        assert tracemalloc.get_traced_memory()[1] < 2**19
    finally:
        tracemalloc.stop()


def test_endless_integer_in_a_frame_is_bounded() -> None:
    body = b"\x24" + b"\x80" * 2**20
    gop = build(items=ITEMS[:2], finish=False)
    with pytest.raises(CorruptStream, match="frame 1"):
        read(gop + build_unit_header(FRAME_UNIT | HAS_EXTRAS, len(body)) + body)
