"""A damaged stream decodes up to the fault, to the very frames of the whole one, or is refused."""

from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitstream_spec import (
    CorruptStream,
    FramePacket,
    FrameType,
    StreamError,
    StreamReader,
    StreamWriter,
    Substream,
    TruncatedStream,
)
from nvc import kernels
from nvc.decoder import Decoder
from nvc.errors import DecodeError
from nvc.frames import Frame

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
EXPECTED: dict[str, list[str]] = json.loads((GOLDEN / "expected.json").read_text())
STREAM = (GOLDEN / "v7_gops.nvc").read_bytes()
HEADER = StreamReader(io.BytesIO(STREAM)).header
PACKETS = [item for item in StreamReader(io.BytesIO(STREAM)) if isinstance(item, FramePacket)]
few = settings(deadline=None, max_examples=15)


def decode(data: bytes) -> tuple[list[int], Exception | None]:
    """Checksums of the frames before the first fault, and the fault."""
    shown: list[int] = []
    try:
        reader = StreamReader(io.BytesIO(data))
        decoder = Decoder(reader.header, threads=1)
        for item in reader:
            if isinstance(item, FramePacket):
                shown.append(decoder.decode(item).checksum())
    except (StreamError, DecodeError) as fault:
        return shown, fault
    return shown, None


WHOLE, _ = decode(STREAM)


def test_the_whole_stream() -> None:
    shown, fault = decode(STREAM)
    assert fault is None
    assert [f"{checksum:04x}" for checksum in shown] == EXPECTED["v7_gops"]


@few
@given(st.integers(0, len(STREAM) - 1), st.integers(1, 255))
def test_any_byte_flipped(position: int, mask: int) -> None:
    damaged = bytearray(STREAM)
    damaged[position] ^= mask
    shown, fault = decode(bytes(damaged))
    assert fault is not None
    assert shown == WHOLE[: len(shown)]


def unit_headers() -> list[int]:
    """Where kind and length of each frame without extras stand in the stream."""
    file = io.BytesIO(STREAM)
    reader = StreamReader(file)
    places, place = [], file.tell()
    for item in reader:
        if isinstance(item, FramePacket) and item.frame_type is FrameType.P:
            places += [place, place + 1]
        place = file.tell()
    return places


@pytest.mark.parametrize("position", unit_headers())
def test_damaged_kinds_and_lengths_of_p_frames(position: int) -> None:
    """Only decoding tells that a qp or a length is not the frame's, before anything wrong is shown."""
    for value in (0, 1, STREAM[position] ^ 0x01, STREAM[position] + 4, STREAM[position] ^ 0x20, 0xFF):
        shown, fault = decode(STREAM[:position] + bytes((value,)) + STREAM[position + 1 :])
        assert fault is not None
        assert shown == WHOLE[: len(shown)]


def test_a_damaged_qp_is_told_as_damage() -> None:
    decoder = Decoder(HEADER, threads=1)
    decoder.decode(PACKETS[0])
    with pytest.raises(DecodeError, match=r"^frame 1 \(pts 1\) is damaged, or decodes to something else"):
        decoder.decode(dataclasses.replace(PACKETS[1], qp=PACKETS[1].qp ^ 1))
    with pytest.raises(CorruptStream, match="without a keyframe or a whole frame"):
        decoder.decode(PACKETS[2])
    assert decoder.decode(PACKETS[3]).checksum() == WHOLE[3], "the next keyframe"


@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize("by_kernel", [True, False])
def test_a_payload_that_goes_on_is_damaged(index: int, by_kernel: bool) -> None:
    """Bytes of another unit behind it mean that its length is wrong, though its symbols are all right."""
    with kernels.switched(by_kernel):
        decoder = Decoder(HEADER, threads=1)
        for packet in PACKETS[:index]:
            decoder.decode(packet)
        packet = PACKETS[index]
        longer = Substream(packet.layers[0].payload + b"\x40\x01\x02\x03")
        with pytest.raises(DecodeError, match=f"frame {index} .* is damaged"):
            decoder.decode(dataclasses.replace(packet, layers=(longer,)))


@few
@given(st.integers(0, len(STREAM) - 1))
def test_any_cut(length: int) -> None:
    shown, fault = decode(STREAM[:length])
    assert isinstance(fault, TruncatedStream)
    assert shown == WHOLE[: len(shown)]


def decode_lenient(packets: list[FramePacket]) -> list[Frame | None]:
    """What each packet decodes to without a look at its checksum; None where it is refused."""
    decoder = Decoder(HEADER, threads=1, verify=False)
    frames: list[Frame | None] = []
    for packet in packets:
        try:
            frames.append(decoder.decode(packet))
        except CorruptStream:
            frames.append(None)
    return frames


@few
@given(st.lists(st.booleans(), min_size=len(PACKETS), max_size=len(PACKETS)))
def test_any_payload_emptied(emptied: list[bool]) -> None:
    packets = [
        dataclasses.replace(packet, layers=(Substream(b""),)) if is_empty else packet
        for packet, is_empty in zip(PACKETS, emptied, strict=True)
    ]
    shown: Frame | None = None
    for packet, frame, is_empty in zip(packets, decode_lenient(packets), emptied, strict=True):
        assert frame is None or (frame.width, frame.height) == (HEADER.width, HEADER.height)
        if is_empty and packet.frame_type is FrameType.I:
            assert frame is None, "these frames have coded symbols"
        elif is_empty and shown is not None:
            assert frame is not None
            assert frame.checksum() == shown.checksum(), "an empty P frame repeats the one before"
        shown = frame


@few
@given(st.data())
def test_any_payload_in_place_of_another(data: st.DataObject) -> None:
    """With a right checksum over wrong bytes the networks run, and the picture's checksum tells.

    Not over none: they say that the frame before is shown again.
    """
    file = io.BytesIO()
    place = data.draw(st.integers(0, len(PACKETS) - 1))
    payload = data.draw(st.binary(min_size=1, max_size=7)) + data.draw(st.binary(max_size=60))
    with StreamWriter(file, HEADER) as writer:
        for item in StreamReader(io.BytesIO(STREAM)):
            if isinstance(item, FramePacket) and writer.n_frames == place:
                item = dataclasses.replace(item, layers=(Substream(payload),))
            writer.write(item)
    shown, fault = decode(file.getvalue())
    # Where few symbols are coded and most are zero, another payload may say the same.
    assert shown == (WHOLE if fault is None else WHOLE[:place])


def test_a_p_frame_alone_is_refused() -> None:
    with pytest.raises(CorruptStream, match="without a keyframe"):
        Decoder(HEADER, threads=1).decode(PACKETS[1])
