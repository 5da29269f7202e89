"""The bytes of each structure as construct declarations, the mirror of FORMAT.md, version 7.

Only sizes and order are said here; `header` and `packets` check values, `sections` joins the two. All
numbers are little-endian. Use `parse`, never a declaration's own parse(): construct
raises errors of many families.
"""

from __future__ import annotations

import binascii
import struct
import zlib
from collections.abc import Callable
from typing import Any, Final, TypeVar

from construct import (
    Array,
    BitsInteger,
    BitStruct,
    Bytes,
    Computed,
    Const,
    Construct,
    ConstructError,
    Container,
    ExprValidator,
    GreedyBytes,
    If,
    IfThenElse,
    Int8sl,
    Int8ul,
    Int16ul,
    Int32sl,
    Int32ul,
    Int64sl,
    Int64ul,
    PascalString,
    Prefixed,
    Rebuild,
    Struct,
    Tell,
    Terminated,
    VarInt,
    ZigZag,
    len_,
    this,
)

from bitstream_spec.checks import MAX_AUDIO_TRACKS, MAX_LAYERS, MAX_METADATA_ENTRIES, MAX_SEEK_POINTS
from bitstream_spec.errors import CorruptStream, StreamError

T = TypeVar("T")

FORMAT_VERSION: Final = 7
FIRST_FORMAT_VERSION: Final = 7
MAGIC: Final = b"\x89NVC\r\n\x1a\n"
TAIL_MAGIC: Final = b"NVCE"
NO_TIME: Final = -(2**63)

GOP_UNIT: Final = 1
AUDIO_UNIT: Final = 3
TRAILER_UNIT: Final = 4
IGNORABLE: Final = 0x80
"""Bit of a unit kind: a reader that does not know the kind skips the unit."""
FRAME_UNIT: Final = 0x40
"""Bit of a unit kind: a frame, with HAS_EXTRAS in place of IGNORABLE, and its qp in the bits below."""
HAS_EXTRAS: Final = 0x80
QP_MASK: Final = 0x3F


def _bounded(integer: Construct, lowest: int, highest: int) -> Construct:
    # A count is refused before Array loops over it.
    return ExprValidator(integer, lambda value, _: lowest <= value <= highest)


def no_extras(n_layers: int) -> Container:
    """What the extras of a frame say by being absent, in a stream of `n_layers`."""
    return Container(
        reserved=0,
        is_keyframe=0,
        has_quality_map=0,
        has_duration=0,
        has_delay=0,
        n_upper_layers=n_layers - 1,
    )


RATIONAL = Struct("numerator" / VarInt, "denominator" / VarInt)

PREAMBLE = Struct("magic" / Bytes(8), "format_version" / Int16ul, "header_length" / Int32ul)

COLOUR = Struct(
    "primaries" / Int8ul,
    "transfer" / Int8ul,
    "matrix" / Int8ul,
    "range" / Int8ul,
    "chroma_location" / Int8ul,
)

LAYER = Struct("scale_log2" / Int8ul, "qp_offset" / Int8sl)

AUDIO_TRACK = Struct(
    "codec" / PascalString(Int8ul, "ascii"),
    "sample_rate" / Int32ul,
    "channel_layout" / PascalString(Int8ul, "ascii"),
    "sample_format" / PascalString(Int8ul, "ascii"),
    "bit_rate" / Int64ul,
    "frame_size" / Int32ul,
    "initial_padding" / Int32ul,
    "time_base" / RATIONAL,
    "language" / PascalString(Int8ul, "ascii"),
    "codec_tag" / Int32ul,
    "extradata" / Prefixed(Int32ul, GreedyBytes),
)

METADATA_ENTRY = Struct("key" / PascalString(Int8ul, "utf8"), "value" / PascalString(Int16ul, "utf8"))

STREAM_HEADER = Struct(
    "flags" / Int16ul,
    "model_id" / Bytes(8),
    "model_name" / PascalString(Int8ul, "ascii"),
    "width" / Int16ul,
    "height" / Int16ul,
    "pixel_format" / Int8ul,
    "colour" / COLOUR,
    "sample_aspect_ratio" / RATIONAL,
    "time_base" / RATIONAL,
    "frame_rate" / RATIONAL,
    "has_display_matrix" / _bounded(Int8ul, 0, 1),
    "display_matrix" / If(this.has_display_matrix == 1, Array(9, Int32sl)),
    "n_layers" / Rebuild(_bounded(Int8ul, 1, MAX_LAYERS), len_(this.layers)),
    "layers" / Array(this.n_layers, LAYER),
    "n_audio_tracks" / Rebuild(_bounded(Int8ul, 0, MAX_AUDIO_TRACKS), len_(this.audio_tracks)),
    "audio_tracks" / Array(this.n_audio_tracks, AUDIO_TRACK),
    "n_metadata" / Rebuild(_bounded(VarInt, 0, MAX_METADATA_ENTRIES), len_(this.metadata)),
    "metadata" / Array(this.n_metadata, METADATA_ENTRY),
    Terminated,
)

UNIT_HEADER = Struct("kind" / Int8ul, "length" / VarInt)
"""Without its check, which `has_check` tells of."""

GOP = Struct(
    "index" / VarInt,
    "first_frame_index" / VarInt,
    "first_pts" / ZigZag,
    "frame_duration" / VarInt,
    "closed" / Int8ul,
    Terminated,
)

FRAME_HEADER = Struct(
    "extras"
    / IfThenElse(
        this._params.has_extras == 1,
        BitStruct(
            "reserved" / BitsInteger(2),
            "is_keyframe" / BitsInteger(1),
            "has_quality_map" / BitsInteger(1),
            "has_duration" / BitsInteger(1),
            "has_delay" / BitsInteger(1),
            "n_upper_layers" / BitsInteger(2),
        ),
        Computed(lambda context: no_extras(context._params.n_layers)),
    ),
    "delay" / If(this.extras.has_delay == 1, ZigZag),
    "duration" / If(this.extras.has_duration == 1, VarInt),
    "lengths" / Array(this.extras.has_quality_map + this.extras.n_upper_layers, VarInt),
    "size" / Tell,
)

AUDIO = Struct(
    "track" / Int8ul,
    "flags" / Int8ul,
    "pts" / Int64sl,
    "dts" / Int64sl,
    "duration" / Int64sl,
    "payload" / GreedyBytes,
)

SEEK_STEP = Struct("frames" / VarInt, "ticks" / ZigZag, "bytes" / VarInt)

TRAILER = Struct(
    "n_frames" / VarInt,
    "duration" / VarInt,
    "n_seek_points" / Rebuild(_bounded(VarInt, 0, MAX_SEEK_POINTS), len_(this.seek_index)),
    "seek_index" / Array(this.n_seek_points, SEEK_STEP),
    "unit_length" / Int32ul,
    "tail_magic" / Const(TAIL_MAGIC),
    Terminated,
)

CRC_LENGTH: Final = 4
SHORT_CRC_LENGTH: Final = 2
MIN_GOP_LENGTH: Final = 1 + 1 + 1 + 1 + 1 + CRC_LENGTH
MAX_GOP_LENGTH: Final = 5 + 5 + 9 + 5 + 1 + CRC_LENGTH
"""What writers use: variable-length integers of 32 bits, and of 63 bits with the sign."""
PREAMBLE_LENGTH: Final = int(PREAMBLE.sizeof())
MIN_UNIT_LENGTH: Final = 3
"""Bytes of the shortest unit: a header with a check, or that of a frame and one byte more."""
MAX_UNIT_LENGTH: Final = 2**28 - 1
MAX_LENGTH_BYTES: Final = 4
"""Most bytes of the variable-length integer that is a unit's length."""
MAX_FRAME_HEADER_LENGTH: Final = 64
"""More than the longest legal one; variable-length integers are looked for in no more bytes than this."""
TAIL_LENGTH: Final = 4 + len(TAIL_MAGIC) + CRC_LENGTH
"""Last bytes of a finished stream: length of the trailer unit, magic, CRC-32."""


def parse(declaration: Construct, data: bytes, where: str, convert: Callable[[Any], T], **params: int) -> T:
    """Parse all of `data` and convert the fields; whatever fails leaves as a StreamError about `where`."""
    try:
        return convert(declaration.parse(data, **params))
    except StreamError:
        raise
    except (ConstructError, struct.error, ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise CorruptStream(f"{where}: {_reason(error)}") from error


def build(declaration: Construct, fields: dict[str, Any], **params: int) -> bytes:
    """Build the bytes of one structure."""
    return bytes(declaration.build(fields, **params))


def seal(data: bytes) -> bytes:
    """Append the CRC-32 of `data`."""
    return data + zlib.crc32(data).to_bytes(CRC_LENGTH, "little")


def unseal(data: bytes, where: str) -> bytes:
    """Check and remove the CRC-32 at the end of `data`; raise CorruptStream if it differs."""
    if len(data) < CRC_LENGTH:
        raise CorruptStream(f"{where}: {len(data)} bytes leave no room for a checksum")
    if not is_sealed(data):
        raise CorruptStream(f"{where}: checksum differs, the bytes were damaged")
    return data[:-CRC_LENGTH]


def is_sealed(data: bytes) -> bool:
    """Whether `data` ends with the CRC-32 of what is before it."""
    return zlib.crc32(data[:-CRC_LENGTH]) == int.from_bytes(data[-CRC_LENGTH:], "little")


def has_check(kind: int, length: int) -> bool:
    """Whether a check follows kind and length of a unit; a frame is checked by what its body holds."""
    return not (kind & FRAME_UNIT and length)


def seal_header(data: bytes) -> bytes:
    """Append the high byte of a CRC-32 of a unit's kind and length; any one byte that changed is noticed."""
    return data + bytes((zlib.crc32(data) >> 24,))


def seal_short(data: bytes) -> bytes:
    """Append a CRC-16: of what stands in many frames, where four bytes would be felt."""
    return data + binascii.crc_hqx(data, 0xFFFF).to_bytes(SHORT_CRC_LENGTH, "little")


def is_sealed_short(data: bytes) -> bool:
    """Whether `data` ends with the CRC-16 of what is before it."""
    return len(data) >= SHORT_CRC_LENGTH and seal_short(data[:-SHORT_CRC_LENGTH]) == data


def _reason(error: Exception) -> str:
    lines = str(error).splitlines() or [type(error).__name__]
    if isinstance(error, ConstructError) and error.path:
        return f"{error.path.split(' -> ')[-1]}: {lines[-1]}"
    return lines[-1]
