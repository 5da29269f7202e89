"""Cut, flipped and hostile streams: only a StreamError may come out, soon and in little memory."""

from __future__ import annotations

import dataclasses
import io
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stream_samples import HEADER, ITEMS, build, read

from bitstream_spec import (
    CorruptStream,
    FramePacket,
    GopHeader,
    StreamError,
    StreamReader,
    Substream,
    TruncatedStream,
)
from bitstream_spec.packets import Item
from bitstream_spec.schema import FRAME_UNIT, HAS_EXTRAS, IGNORABLE, PREAMBLE_LENGTH, SHORT_CRC_LENGTH
from bitstream_spec.sections import build_stream_header, build_unit_header

SAMPLE = build()
FRAMES = [item for item in ITEMS if isinstance(item, FramePacket)]
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


def is_left_to_decoding(items: list[Item]) -> bool:
    """Whether one frame differs, in what its planes are decoded from, which their checksum covers."""
    ((old, new),) = [pair for pair in zip(ITEMS, items, strict=True) if pair[0] != pair[1]]
    assert isinstance(old, FramePacket)
    assert isinstance(new, FramePacket)
    if old.layers[0] != new.layers[0]:
        return True  # whatever else it says comes with planes that do not fit
    layers = old.layers[0], *new.layers[1:]
    return dataclasses.replace(new, qp=old.qp, quality_map=old.quality_map, layers=layers) == old


N_BASE_BYTES = sum(len(frame.layers[0].payload) for frame in FRAMES)
N_MAP_BYTES = sum(len(frame.quality_map.payload) for frame in FRAMES if frame.quality_map)


# One frame has no extras, so that its qp can be changed; of another P frame extras can become payload.
@pytest.mark.parametrize(("mask", "n_kinds"), [(0x01, 1), (0x80, 1), (0xFF, 0)])
def test_every_flipped_byte_is_noticed_or_left_to_decoding(mask: int, n_kinds: int) -> None:
    n_left = 0
    for position in range(len(SAMPLE)):
        damaged = bytearray(SAMPLE)
        damaged[position] ^= mask
        try:
            items = read(bytes(damaged))
        except StreamError:
            continue
        assert is_left_to_decoding(items)
        n_left += 1
    assert n_left == N_BASE_BYTES + N_MAP_BYTES + n_kinds


def test_every_flipped_byte_is_noticed_or_flagged() -> None:
    n_flagged = n_left = 0
    for position in range(len(SAMPLE)):
        damaged = bytearray(SAMPLE)
        damaged[position] ^= 0x10
        try:
            items = read(bytes(damaged), strict=False)
        except StreamError:
            continue
        frames = [item for item in items if isinstance(item, FramePacket)]
        broken = [part.intact for frame in frames for part in frame.substreams].count(False)
        assert broken == 1 or is_left_to_decoding(items)
        n_flagged += broken
        n_left += not broken
    assert n_flagged == sum(len(frame.layers[1].payload) + SHORT_CRC_LENGTH for frame in FRAMES)
    assert n_left == N_BASE_BYTES + N_MAP_BYTES + 1


def frame_on_time(payload: bytes = b"base", **irregular: int) -> tuple[int, bytes]:
    """Where the second of three frames of one layer begins, and their stream."""
    header = dataclasses.replace(HEADER, layers=HEADER.layers[1:])
    keyframe, p_frame = (dataclasses.replace(f, layers=f.layers[:1]) for f in FRAMES[:2])
    changed = dataclasses.replace(p_frame, layers=(Substream(payload),), **irregular)
    last = dataclasses.replace(p_frame, pts=600)
    before = build(header, (ITEMS[0], keyframe), finish=False)
    return len(before), build(header, (ITEMS[0], keyframe, changed, last))


@pytest.mark.parametrize("irregular", [{"pts": 7}, {"duration": 5}], ids=str)
def test_every_flipped_byte_of_an_irregular_frames_header_is_noticed(irregular: dict[str, int]) -> None:
    start, data = frame_on_time(**irregular)
    end = data.index(b"base", start)
    assert end - start >= 2 + 1 + 1 + SHORT_CRC_LENGTH
    frames = unnoticed(data, range(start, end))
    # Without its extras it is on time, and what they were leads its payload, which cannot be decoded then.
    assert {frame.layers[0].payload for frame in frames} == {data[start + 2 : end] + b"base"}


def test_every_flipped_byte_of_a_repetition_is_noticed() -> None:
    """Where there is nothing to decode, no checksum of planes tells, so the header has its own."""
    start, data = frame_on_time(b"")
    frames = unnoticed(data, range(start, start + 3))
    # The check may be taken for a payload, one that is too short for any.
    assert [frame.layers[0].payload for frame in frames] == [data[start + 2 : start + 3]]


def unnoticed(data: bytes, positions: range) -> list[FramePacket]:
    """What the second frame becomes by each change of one of these bytes that reading does not notice."""
    frames = []
    for position in positions:
        for value in {*range(256)} - {data[position]}:
            try:
                items = read(data[:position] + bytes((value,)) + data[position + 1 :])
            except StreamError:
                continue
            frames.append(items[2])
    assert all(isinstance(frame, FramePacket) for frame in frames)
    return frames  # type: ignore[return-value]


def test_a_frame_does_not_become_a_repetition() -> None:
    start, data = frame_on_time(b"\x00payload")
    assert data[start + 1] == 8
    with pytest.raises(CorruptStream, match=f"unit at byte {start}: checksum of its header differs"):
        read(data[: start + 1] + b"\x00" + data[start + 2 :])


def test_damaged_layer_is_named() -> None:
    with pytest.raises(CorruptStream, match="frame 0: layer 1 is damaged"):
        read(SAMPLE.replace(b"upper", b"uppar", 1))


def test_reading_goes_on_at_the_next_gop() -> None:
    place = SAMPLE.index(b"mapbase") - 1  # the last byte of the I frame's header
    damaged = SAMPLE[:place] + bytes((SAMPLE[place] ^ 1,)) + SAMPLE[place + 1 :]
    reader = StreamReader(io.BytesIO(damaged))
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
    if mutated == SAMPLE:
        assert tuple(items) == ITEMS
    else:
        assert is_left_to_decoding(items)


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
