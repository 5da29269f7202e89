"""One small stream with a bit of everything, and the means to build it and take it apart."""

from __future__ import annotations

import io
from fractions import Fraction

from bitstream_spec import (
    AudioPacket,
    AudioTrack,
    Colour,
    ColourRange,
    FramePacket,
    FrameType,
    GopHeader,
    Layer,
    StreamHeader,
    StreamReader,
    StreamWriter,
    Substream,
)
from bitstream_spec.packets import Item

HEADER = StreamHeader(
    model_id=bytes.fromhex("0123456789abcdef"),
    model_name="tiny",
    width=17,
    height=31,
    time_base=Fraction(1, 12800),
    frame_rate=Fraction(25),
    sample_aspect_ratio=Fraction(12, 11),
    colour=Colour(1, 1, 1, ColourRange.LIMITED, 1),
    display_matrix=(0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30),
    layers=(Layer(1, 4), Layer()),
    audio_tracks=(
        AudioTrack(
            "aac",
            48000,
            "stereo",
            Fraction(1, 48000),
            "fltp",
            128000,
            1024,
            1024,
            "eng",
            b"\x12\x10",
            0x6134706D,
        ),
    ),
    metadata=(("title", "Übung"),),
)


def frame(frame_type: FrameType, pts: int, payload: bytes = b"base") -> FramePacket:
    is_keyframe = frame_type is FrameType.I
    layers = Substream(payload), Substream(b"upper layer")
    quality_map = Substream(b"map") if is_keyframe else None
    return FramePacket(frame_type, pts, 512, 30, layers, quality_map)


ITEMS: tuple[Item, ...] = (
    GopHeader(0, 0, -512, 512),
    frame(FrameType.I, -512),
    AudioPacket(0, None, -1024, 1024, b"sound"),
    frame(FrameType.P, 0),
    GopHeader(1, 2, 512),
    frame(FrameType.I, 512),
    frame(FrameType.P, 1100, b""),
)


def build(header: StreamHeader = HEADER, items: tuple[Item, ...] = ITEMS, *, finish: bool = True) -> bytes:
    file = io.BytesIO()
    writer = StreamWriter(file, header)
    for item in items:
        writer.write(item)
    if finish:
        writer.close()
    assert writer.size_bytes == len(file.getvalue())
    return file.getvalue()


def read(data: bytes, **options: bool) -> list[Item]:
    return list(StreamReader(io.BytesIO(data), **options))
