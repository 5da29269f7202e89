"""Literal bytes of each structure, as FORMAT.md has them."""

from __future__ import annotations

import io
import re
from fractions import Fraction
from pathlib import Path

import pytest

import bitstream_spec
from bitstream_spec import (
    AudioPacket,
    AudioTrack,
    FramePacket,
    FrameType,
    GopHeader,
    Layer,
    SeekPoint,
    StreamHeader,
    StreamReader,
    Substream,
    Trailer,
    schema,
    sections,
)

FORMAT = (Path(bitstream_spec.__file__).parent / "FORMAT.md").read_text(encoding="utf-8")


def sealed(text: str) -> bytes:
    return schema.seal(bytes.fromhex(text))


def test_checksums_are_the_named_ones() -> None:
    # The check values that catalogues of CRCs give for this input.
    assert schema.seal(b"123456789")[-4:] == (0xCBF43926).to_bytes(4, "little")
    assert schema.seal_short(b"123456789")[-2:] == (0x29B1).to_bytes(2, "little")


def test_unit_header() -> None:
    data = sections.build_unit_header(2, 300)
    assert data[:3] == bytes.fromhex("02 ac 02")
    assert data == schema.seal_header(data[:3])
    assert sections.parse_unit_header(data[:3], "unit") == (2, 300)


def test_unit_header_of_a_frame_has_a_check_where_nothing_follows() -> None:
    for kind in (0x40, 0x7F, 0xC5):
        assert sections.build_unit_header(kind, 300) == bytes((kind, 0xAC, 0x02))
        assert sections.build_unit_header(kind, 0) == schema.seal_header(bytes((kind, 0)))


def test_stream_header_with_everything() -> None:
    track = AudioTrack("opus", 48000, "mono", Fraction(1, 48000), "flt", 64000, 960, 312, "und", b"\x01", 7)
    header = StreamHeader(
        model_id=bytes(8),
        model_name="s",
        width=1,
        height=258,
        time_base=Fraction(1, 25),
        display_matrix=(1, 0, 0, 0, -1, 0, 0, 0, 2),
        is_still=True,
        layers=(Layer(1, -2), Layer()),
        audio_tracks=(track,),
        metadata=(("a", "é"),),
    )
    body = """01 00  00 00 00 00 00 00 00 00  01 73  01 00 02 01  00  02 02 02 00 00
        00 01  01 19  00 01
        01  01 00 00 00  00 00 00 00  00 00 00 00  00 00 00 00  ff ff ff ff
        00 00 00 00  00 00 00 00  00 00 00 00  02 00 00 00
        02  01 fe  00 00
        01  04 6f 70 75 73  80 bb 00 00  04 6d 6f 6e 6f  03 66 6c 74  00 fa 00 00 00 00 00 00
        c0 03 00 00  38 01 00 00  01 80 f7 02  03 75 6e 64  07 00 00 00  01 00 00 00 01
        01  01 61  02 00 c3 a9"""
    length = len(bytes.fromhex(body)) + 4
    data = sealed("89 4e 56 43 0d 0a 1a 0a 07 00" + length.to_bytes(4, "little").hex() + body)
    assert sections.build_stream_header(header) == data
    assert sections.parse_stream_header(data) == header


def test_gop() -> None:
    gop = GopHeader(1, 250, -2, 512)
    data = sealed("01  fa 01  03  80 04  01")
    assert sections.build_gop(gop) == data
    assert sections.parse_gop(data, "GOP") == gop


def test_frame() -> None:
    layers = Substream(b"base"), Substream(b"upper")
    packet = FramePacket(FrameType.P, 1300, 200, 63, layers, Substream(b"map"))
    head = bytes.fromhex("ff 17")
    header = schema.seal_short(head + bytes.fromhex("1d  d7 04  c8 01  03 04"))[2:]
    data = header + b"mapbase" + schema.seal_short(b"upper")
    assert len(data) == 0x17
    assert sections.build_frame(packet, 3, 1600, 100) == (head, data)
    assert sections.parse_frame(head, data, "frame 0", 3, 1600, 100) == packet


def test_keyframe() -> None:
    packet = FramePacket(FrameType.I, 1300, 100, 5, (Substream(b"base"),))
    head = b"\xc5\x07"
    data = schema.seal_short(head + b"\x20")[2:] + b"base"
    assert sections.build_frame(packet, 1, 1300, 100) == (head, data)
    assert sections.parse_frame(head, data, "frame 0", 1, 1300, 100) == packet


def test_frame_on_time() -> None:
    packet = FramePacket(FrameType.P, 1300, 100, 63, (Substream(b"base"),))
    assert sections.build_frame(packet, 1, 1300, 100) == (b"\x7f\x04", b"base")
    assert sections.parse_frame(b"\x7f\x04", b"base", "frame 0", 1, 1300, 100) == packet


def test_frame_of_all_layers_on_time() -> None:
    packet = FramePacket(FrameType.P, 1300, 100, 63, (Substream(b"base"), Substream(b"upper")))
    data = b"\x04base" + schema.seal_short(b"upper")
    assert sections.build_frame(packet, 2, 1300, 100) == (b"\x7f\x0c", data)
    assert sections.parse_frame(b"\x7f\x0c", data, "frame 0", 2, 1300, 100) == packet


@pytest.mark.parametrize("n_layers", [1, 2, 4])
def test_repetition(n_layers: int) -> None:
    packet = FramePacket(FrameType.P, 1300, 100, 63, (Substream(b""),) * n_layers)
    head = schema.seal_header(b"\x7f\x00")
    assert sections.build_frame(packet, n_layers, 1300, 100) == (head, b"")
    assert sections.parse_frame(head, b"", "frame 0", n_layers, 1300, 100) == packet
    assert sections.frame_unit_bytes(packet) == 3


@pytest.mark.parametrize("payload", [b"base", b""])
def test_upper_layers_dropped(payload: bytes) -> None:
    """What dropping writes anew, and that payloads stay."""
    packet = FramePacket(FrameType.P, 1300, 100, 63, (Substream(payload),) * 3).with_layers(2)
    length = 4 + 2 * len(payload) + 2
    head = bytes((0xFF, length))
    header = schema.seal_short(head + bytes((0x01, len(payload))))[2:]
    data = header + payload + schema.seal_short(payload)
    assert len(data) == length
    assert sections.build_frame(packet, 3, 1300, 100) == (head, data)
    assert sections.parse_frame(head, data, "frame 0", 3, 1300, 100) == packet


def test_expected_times_follow_the_frame_rate() -> None:
    header = StreamHeader(bytes(8), "s", 16, 16, Fraction(1, 1000), Fraction(30000, 1001))
    gop = GopHeader(0, 0, 7, 5)
    times = [gop.expected_times(i, header) for i in range(5)]
    assert times == [(7, 33), (40, 34), (74, 33), (107, 33), (140, 34)]
    unknown = StreamHeader(bytes(8), "s", 16, 16, Fraction(1, 1000))
    assert [gop.expected_times(i, unknown) for i in range(3)] == [(7, 5), (12, 5), (17, 5)]


def test_gops_expect_the_times_of_the_whole_stream() -> None:
    header = StreamHeader(bytes(8), "s", 16, 16, Fraction(1, 1000), Fraction(24000, 1001))
    whole = GopHeader(0, 0, -3)
    for first in (1, 2, 32, 1000):
        gop = GopHeader(1, first, whole.expected_times(first, header)[0])
        for position in range(9):
            assert gop.expected_times(position, header) == whole.expected_times(first + position, header)


def test_audio() -> None:
    packet = AudioPacket(2, None, -1, 1024, b"\xff", is_keyframe=True)
    data = sealed("02 01  00 00 00 00 00 00 00 80  ff ff ff ff ff ff ff ff  00 04 00 00 00 00 00 00  ff")
    assert sections.build_audio(packet) == data
    assert sections.parse_audio(data, "audio") == packet


def test_trailer() -> None:
    trailer = Trailer(3, 1536, (SeekPoint(0, -512, 300), SeekPoint(2, 512, 400)))
    data = sealed(
        """03  80 0c  02
        00 ff 07 ac 02  02 80 10 64  1c 00 00 00  4e 56 43 45"""
    )
    assert sections.build_trailer(trailer) == data
    assert sections.parse_trailer(data, "trailer") == trailer
    assert len(sections.build_unit(schema.TRAILER_UNIT, data)) == 0x1C


def test_example_of_the_document() -> None:
    found = re.search(r"```hex\n(.*?)```", FORMAT, re.DOTALL)
    assert found is not None
    data = bytes.fromhex("".join(line.split("#")[0] for line in found[1].splitlines()))
    reader = StreamReader(io.BytesIO(data))
    assert reader.header.model_id_hex == "0123456789abcdef"
    assert (reader.header.width, reader.header.height, reader.header.frame_rate) == (16, 16, 25)
    gop, packet = reader
    assert gop == GopHeader(0, 0, 0, 1)
    layer = Substream(b"\xab\xcd")
    assert packet == FramePacket(FrameType.I, 0, 1, 32, (layer,))
    assert reader.trailer == Trailer(1, 1, (SeekPoint(0, 0, 55),))


def test_document_names_the_version() -> None:
    assert f"Format version: **{bitstream_spec.FORMAT_VERSION}**" in FORMAT
    assert f"\n| {bitstream_spec.FORMAT_VERSION} | " in FORMAT.split("## Versions")[1]


def test_longest_frame_header_fits_its_bound() -> None:
    layers = tuple(Substream(b"") for _ in range(4))
    packet = FramePacket(FrameType.I, 2**61, 2**32 - 1, 0, layers, Substream(b""))
    growth_per_length = 4  # a length of 2**32 takes five bytes, these take one
    header_bytes = len(sections.build_frame(packet, 4, -(2**61), 0)[1]) - 3 * schema.SHORT_CRC_LENGTH
    assert header_bytes + 4 * growth_per_length <= schema.MAX_FRAME_HEADER_LENGTH
