"""What holds for a whole stream, as immutable values that check themselves (ValueError)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum
from fractions import Fraction

from bitstream_spec.checks import (
    MAX_AUDIO_TRACKS,
    MAX_LAYERS,
    MAX_METADATA_ENTRIES,
    MAX_QP,
    MAX_SCALE_LOG2,
    U32_MAX,
    U64_MAX,
    check_ascii,
    check_range,
    check_rational,
)


class PixelFormat(IntEnum):
    """Sample layout of the decoded pictures."""

    YUV420P8 = 0


class ColourRange(IntEnum):
    """Whether samples use 16..235 (limited) or 0..255 (full)."""

    UNSPECIFIED = 0
    LIMITED = 1
    FULL = 2


@dataclass(frozen=True, slots=True)
class Colour:
    """How samples map to light: ITU-T H.273 codes (2 = unspecified), carried unchanged."""

    primaries: int = 2
    transfer: int = 2
    matrix: int = 2
    range: ColourRange = ColourRange.UNSPECIFIED
    chroma_location: int = 0
    """FFmpeg's AVChromaLocation number; 0 = unspecified."""

    def __post_init__(self) -> None:
        for name in ("primaries", "transfer", "matrix", "chroma_location"):
            check_range(name, getattr(self, name), 0, 255)


@dataclass(frozen=True, slots=True)
class Layer:
    """One quality or resolution layer; the table runs from the base upwards."""

    scale_log2: int = 0
    """0 = the stream's full size, 1 = half width and height (rounded up)."""
    qp_offset: int = 0
    """Added to each frame's qp for this layer, result clamped to 0..63."""

    def __post_init__(self) -> None:
        check_range("scale_log2", self.scale_log2, 0, MAX_SCALE_LOG2)
        check_range("qp_offset", self.qp_offset, -MAX_QP, MAX_QP)


@dataclass(frozen=True, slots=True)
class AudioTrack:
    """Parameters of one audio track whose packets are copied; names are FFmpeg's."""

    codec: str
    sample_rate: int
    channel_layout: str
    time_base: Fraction
    sample_format: str = ""
    bit_rate: int = 0
    frame_size: int = 0
    initial_padding: int = 0
    language: str = ""
    extradata: bytes = b""
    codec_tag: int = 0

    def __post_init__(self) -> None:
        check_ascii("codec", self.codec, 1, 32)
        check_ascii("channel_layout", self.channel_layout, 0, 255)
        check_ascii("sample_format", self.sample_format, 0, 32)
        check_ascii("language", self.language, 0, 32)
        check_range("sample_rate", self.sample_rate, 1, U32_MAX)
        check_range("bit_rate", self.bit_rate, 0, U64_MAX)
        for name in ("frame_size", "initial_padding", "codec_tag"):
            check_range(name, getattr(self, name), 0, U32_MAX)
        check_range("extradata length", len(self.extradata), 0, U32_MAX)
        check_rational("time_base", self.time_base, 1)


@dataclass(frozen=True, slots=True)
class StreamHeader:
    """What holds for the whole stream. Fraction(0) means unknown; time_base may not be unknown."""

    model_id: bytes
    """The first 8 bytes of the SHA-256 of the weights file."""
    model_name: str
    width: int
    height: int
    time_base: Fraction
    frame_rate: Fraction = Fraction(0)
    sample_aspect_ratio: Fraction = Fraction(0)
    pixel_format: PixelFormat = PixelFormat.YUV420P8
    colour: Colour = Colour()
    display_matrix: tuple[int, ...] | None = None
    """Nine int32 in the layout of FFmpeg's AV_FRAME_DATA_DISPLAYMATRIX."""
    is_still: bool = False
    layers: tuple[Layer, ...] = (Layer(),)
    audio_tracks: tuple[AudioTrack, ...] = ()
    metadata: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        check_range("model_id length", len(self.model_id), 8, 8)
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}", self.model_name):
            raise ValueError(
                f"invalid model_name {self.model_name!a} (expected 1 to 32 of A-Z a-z 0-9 . _ -)"
            )
        check_range("width", self.width, 1, 65535)
        check_range("height", self.height, 1, 65535)
        check_rational("time_base", self.time_base, 1)
        check_rational("frame_rate", self.frame_rate, 0)
        check_rational("sample_aspect_ratio", self.sample_aspect_ratio, 0)
        if self.display_matrix is not None:
            check_range("display_matrix length", len(self.display_matrix), 9, 9)
            for element in self.display_matrix:
                check_range("display_matrix element", element, -(2**31), 2**31 - 1)
        check_range("number of layers", len(self.layers), 1, MAX_LAYERS)
        scales = [layer.scale_log2 for layer in self.layers]
        if scales != sorted(scales, reverse=True):
            raise ValueError(f"invalid layer scales {scales} (expected never to increase from the base up)")
        check_range("number of audio tracks", len(self.audio_tracks), 0, MAX_AUDIO_TRACKS)
        check_range("number of metadata entries", len(self.metadata), 0, MAX_METADATA_ENTRIES)
        for key, value in self.metadata:
            check_range("metadata key length", len(key.encode()), 1, 255)
            check_range("metadata value length", len(value.encode()), 0, 65535)

    @property
    def model_id_hex(self) -> str:
        """The model id as it is shown to people: 16 hexadecimal digits."""
        return self.model_id.hex()
