"""What stands in the units of a stream, as immutable values that check themselves (ValueError)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum

from bitstream_spec.checks import (
    MAX_AUDIO_TRACKS,
    MAX_LAYERS,
    MAX_QP,
    MAX_SEEK_POINTS,
    MAX_SUBSTREAMS,
    MAX_TIME,
    U32_MAX,
    U64_MAX,
    check_range,
)


class FrameType(IntEnum):
    """I: decodes alone and begins a GOP. P: needs the frame before it."""

    I = 0  # noqa: E741
    P = 1


class SubstreamKind(IntEnum):
    """What the payload of a substream describes."""

    MOTION = 0
    HYPER = 1
    LATENT = 2
    QUALITY_MAP = 3
    MOTION_HYPER = 4


@dataclass(frozen=True, slots=True)
class GopHeader:
    """Stands before each I frame: a place where decoding may begin."""

    index: int
    first_frame_index: int
    first_pts: int

    def __post_init__(self) -> None:
        check_range("GOP index", self.index, 0, U32_MAX)
        check_range("first frame index", self.first_frame_index, 0, U32_MAX)
        check_range("first pts", self.first_pts, -MAX_TIME, MAX_TIME)


@dataclass(frozen=True, slots=True)
class Substream:
    """One entropy-coded payload of a frame.

    `intact` is False if its CRC-32 differs (StreamReader with strict=False).
    """

    kind: SubstreamKind
    layer_id: int
    payload: bytes
    intact: bool = True


@dataclass(frozen=True, slots=True)
class FramePacket:
    """The coded bytes of one frame.

    `checksums` has one CRC-32 of the reconstructed planes per layer of the stream header, also for layers
    that were dropped; `n_layers` is how many, from the base up, this packet still holds.
    """

    frame_type: FrameType
    pts: int
    duration: int
    qp: int
    reset_reference: bool
    checksums: tuple[int, ...]
    substreams: tuple[Substream, ...]
    n_layers: int = 1

    def __post_init__(self) -> None:
        check_range("pts", self.pts, -MAX_TIME, MAX_TIME)
        check_range("duration", self.duration, 0, U32_MAX)
        check_range("qp", self.qp, 0, MAX_QP)
        check_range("number of checksums", len(self.checksums), 1, MAX_LAYERS)
        for checksum in self.checksums:
            check_range("checksum", checksum, 0, U32_MAX)
        check_range("number of layers in the frame", self.n_layers, 1, len(self.checksums))
        check_range("number of substreams", len(self.substreams), 0, MAX_SUBSTREAMS)
        seen = set()
        for part in self.substreams:
            check_range("layer id", part.layer_id, 0, self.n_layers - 1)
            if self.frame_type is FrameType.I and part.kind in (
                SubstreamKind.MOTION,
                SubstreamKind.MOTION_HYPER,
            ):
                raise ValueError(f"an I frame has a {part.kind.name.lower()} substream")
            seen.add((part.kind, part.layer_id))
        if len(seen) != len(self.substreams):
            raise ValueError("two substreams of one kind and layer")

    def with_layers(self, n_layers: int) -> FramePacket:
        """Drop the layers from `n_layers` up; the kept payloads and all checksums stay as they are."""
        check_range("number of layers to keep", n_layers, 1, self.n_layers)
        kept = tuple(part for part in self.substreams if part.layer_id < n_layers)
        return replace(self, substreams=kept, n_layers=n_layers)


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
