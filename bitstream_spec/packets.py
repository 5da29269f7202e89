"""What stands in the units of a stream, as immutable values that check themselves (ValueError)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import IntEnum
from fractions import Fraction

from bitstream_spec.checks import (
    MAX_AUDIO_TRACKS,
    MAX_LAYERS,
    MAX_QP,
    MAX_SEEK_POINTS,
    MAX_TIME,
    U32_MAX,
    U64_MAX,
    check_range,
)
from bitstream_spec.header import StreamHeader


class FrameType(IntEnum):
    """I: decodes alone and begins a GOP. P: needs the frame before it."""

    I = 0  # noqa: E741
    P = 1


@dataclass(frozen=True, slots=True)
class GopHeader:
    """Stands before each I frame: a place where decoding may begin.

    frame_duration: ticks from frame to frame where the stream has no frame rate, 0 = unknown.
    """

    index: int
    first_frame_index: int
    first_pts: int
    frame_duration: int = 0

    def __post_init__(self) -> None:
        check_range("GOP index", self.index, 0, U32_MAX)
        check_range("first frame index", self.first_frame_index, 0, U32_MAX)
        check_range("first pts", self.first_pts, -MAX_TIME, MAX_TIME)
        check_range("frame duration", self.frame_duration, 0, U32_MAX)

    def expected_times(self, position: int, header: StreamHeader) -> tuple[int, int]:
        """pts and duration of the frame at this position, 0 for the I frame, if it keeps to the frame rate.

        Times are rounded as those of all frames since the first of the stream, so that GOPs agree.
        """
        rate = header.frame_rate * header.time_base
        if not rate:
            return self.first_pts + position * self.frame_duration, self.frame_duration
        index = self.first_frame_index + position
        first, own, then = (_rounded(at / rate) for at in (self.first_frame_index, index, index + 1))
        return self.first_pts + own - first, then - own


def _rounded(time: Fraction) -> int:
    return math.floor(time + Fraction(1, 2))


@dataclass(frozen=True, slots=True)
class Substream:
    """One entropy-coded payload of a frame.

    `intact` is False if its CRC differs (StreamReader with strict=False); of the base layer and the quality
    map, which have none, it is always True.
    """

    payload: bytes
    intact: bool = True


@dataclass(frozen=True, slots=True)
class FramePacket:
    """The coded bytes of one frame: a substream for each layer from the base up, and where the quality
    changes from place to place another for its map.
    """

    frame_type: FrameType
    pts: int
    duration: int
    qp: int
    layers: tuple[Substream, ...]
    quality_map: Substream | None = None

    def __post_init__(self) -> None:
        check_range("pts", self.pts, -MAX_TIME, MAX_TIME)
        check_range("duration", self.duration, 0, U32_MAX)
        check_range("qp", self.qp, 0, MAX_QP)
        check_range("number of layers in the frame", len(self.layers), 1, MAX_LAYERS)

    @property
    def substreams(self) -> tuple[Substream, ...]:
        """All of them, in the order of the stream."""
        return self.layers if self.quality_map is None else (self.quality_map, *self.layers)

    @property
    def n_whole_layers(self) -> int:
        """How many layers from the base up are intact."""
        broken = [index for index, layer in enumerate(self.layers) if not layer.intact]
        return broken[0] if broken else len(self.layers)

    def with_layers(self, n_layers: int) -> FramePacket:
        """Drop the layers from `n_layers` up; the kept payloads stay as they are."""
        check_range("number of layers to keep", n_layers, 1, len(self.layers))
        return replace(self, layers=self.layers[:n_layers])


@dataclass(frozen=True, slots=True)
class AudioPacket:
    """One packet of an audio track, times in that track's time base; None is FFmpeg's AV_NOPTS_VALUE."""

    track: int
    pts: int | None
    dts: int | None
    duration: int
    payload: bytes
    is_keyframe: bool = True

    def __post_init__(self) -> None:
        check_range("track", self.track, 0, MAX_AUDIO_TRACKS - 1)
        for name in ("pts", "dts"):
            value = getattr(self, name)
            if value is not None:
                check_range(name, value, -MAX_TIME, MAX_TIME)
        check_range("duration", self.duration, 0, MAX_TIME)


@dataclass(frozen=True, slots=True)
class SeekPoint:
    """Where a GOP stands: its first frame, that frame's pts, bytes from the start of the stream."""

    first_frame_index: int
    pts: int
    byte_offset: int

    def __post_init__(self) -> None:
        check_range("first frame index", self.first_frame_index, 0, U32_MAX)
        check_range("pts", self.pts, -MAX_TIME, MAX_TIME)
        check_range("byte offset", self.byte_offset, 0, U64_MAX)


@dataclass(frozen=True, slots=True)
class Trailer:
    """The visible end of a finished stream. `duration` is in the stream's time base."""

    n_frames: int
    duration: int
    seek_index: tuple[SeekPoint, ...] = ()

    def __post_init__(self) -> None:
        check_range("number of frames", self.n_frames, 0, U32_MAX)
        check_range("duration", self.duration, 0, 2 * MAX_TIME + U32_MAX)
        check_range("number of seek points", len(self.seek_index), 0, MAX_SEEK_POINTS)
        for before, after in zip(self.seek_index, self.seek_index[1:], strict=False):
            if not (
                before.first_frame_index < after.first_frame_index
                and before.pts < after.pts
                and before.byte_offset < after.byte_offset
            ):
                raise ValueError("the seek index is not in increasing order")


Item = GopHeader | FramePacket | AudioPacket
"""What stands between a stream's header and its trailer."""
