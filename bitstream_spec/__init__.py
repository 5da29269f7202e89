"""The bytes of an .nvc stream, specified in FORMAT.md: reading, writing, nothing about video."""

from bitstream_spec.errors import (
    CorruptStream,
    LimitExceeded,
    StreamError,
    TruncatedStream,
    UnsupportedStream,
)
from bitstream_spec.header import AudioTrack, Colour, ColourRange, Layer, PixelFormat, StreamHeader
from bitstream_spec.limits import DEFAULT_LIMITS, Limits
from bitstream_spec.packets import (
    AudioPacket,
    FramePacket,
    FrameType,
    GopHeader,
    SeekPoint,
    Substream,
    Trailer,
)
from bitstream_spec.reader import StreamReader
from bitstream_spec.schema import FORMAT_VERSION
from bitstream_spec.writer import StreamWriter

__all__ = [
    "DEFAULT_LIMITS",
    "FORMAT_VERSION",
    "AudioPacket",
    "AudioTrack",
    "Colour",
    "ColourRange",
    "CorruptStream",
    "FramePacket",
    "FrameType",
    "GopHeader",
    "Layer",
    "LimitExceeded",
    "Limits",
    "PixelFormat",
    "SeekPoint",
    "StreamError",
    "StreamHeader",
    "StreamReader",
    "StreamWriter",
    "Substream",
    "Trailer",
    "TruncatedStream",
    "UnsupportedStream",
]
