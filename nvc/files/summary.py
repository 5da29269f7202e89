"""What encoding, decoding and checking a file come to, as data: every field can be written as JSON.

`bpp` is bits per luma pixel and `bitrate_kbps` kilobits per second, both of the whole file less its sound.
PSNR is the mean over frames of each frame's PSNR; `psnr_yuv_db` weighs Y, U and V as 6:1:1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bitstream_spec import FramePacket, StreamHeader


@dataclass(frozen=True)
class FrameReport:
    """One frame just finished, for progress."""

    n_done: int
    n_expected: int | None
    """How many there will be, if that is known."""
    fraction_done: float | None
    """Share of the input that is read, if the number of frames is not known."""
    frame_type: str
    qp: int
    total_bytes: int
    """Bytes of the stream so far, sound left out."""
    time_s: float
    """When the frame is shown, from the first frame on."""
    psnr_db: tuple[float, float, float] | None = None


@dataclass(frozen=True)
class FrameTypeSummary:
    """All frames of one type."""

    n_frames: int
    size_bytes: int
    mean_qp: float


@dataclass(frozen=True)
class LayerSummary:
    """One layer. psnr_yuv_db: of what it and those below decode to; size_bytes: of its payloads alone."""

    qp_offset: int
    size_bytes: int
    psnr_yuv_db: float


@dataclass(frozen=True)
class EncodeSummary:
    """What an encode made. `seconds` is the whole call, loading the networks included."""

    input: str
    output: str
    model_name: str
    model_id: str
    width: int
    height: int
    n_frames: int
    frame_types: dict[str, FrameTypeSummary]
    duration_s: float
    size_bytes: int
    audio_bytes: int
    bpp: float
    bitrate_kbps: float
    psnr_y_db: float
    psnr_u_db: float
    psnr_v_db: float
    psnr_yuv_db: float
    layers: tuple[LayerSummary, ...]
    seconds: float
    encode_fps: float
    notices: tuple[str, ...]


@dataclass(frozen=True)
class Loss:
    """Frames next to each other that cannot be decoded; none of them: sound or the stream's end is lost."""

    first_frame_index: int
    """Number in the whole stream of the first of them."""
    n_frames: int
    start_s: float | None
    """When the first of them is shown in the output, if there is a frame to tell it by."""
    reason: str


@dataclass(frozen=True)
class DecodeSummary:
    """What a decode made. `n_frames` counts frames that were decoded.

    With a `fault` the output holds the frames before it; if losses were concealed, also those after it, and
    repeated frames in the place of `n_lost_frames`, which `losses` tells in detail.
    """

    input: str
    output: str
    model_name: str
    model_id: str
    width: int
    height: int
    n_frames: int
    duration_s: float
    verified: bool
    seconds: float
    decode_fps: float
    fault: str | None
    concealed: bool
    n_layers: int
    """How many layers were to be decoded."""
    n_reduced_frames: int
    """How many frames lack some of them."""
    layer_fault: str | None
    """The first damage to one of them."""
    n_lost_frames: int
    losses: tuple[Loss, ...]
    notices: tuple[str, ...]


@dataclass(frozen=True)
class VerifySummary:
    """What a check found. `n_frames` counts frames that decode as encoded.

    `faults` holds the first ones, one for frames next to each other; `losses` has the same in detail.
    """

    input: str
    model_name: str
    model_id: str
    n_frames: int
    n_bad_frames: int
    n_layers: int
    n_reduced_frames: int
    """How many of the good frames lack upper layers, damaged or not in the stream."""
    finished: bool
    faults: tuple[str, ...]
    losses: tuple[Loss, ...]
    seconds: float
    decode_fps: float

    @property
    def is_good(self) -> bool:
        return self.finished and not self.faults


@dataclass(frozen=True)
class StreamInfo:
    """What a stream holds, told without decoding a picture."""

    input: str
    size_bytes: int
    format_version: int
    model_name: str
    model_id: str
    width: int
    height: int
    pixel_format: str
    colour: dict[str, int]
    sample_aspect_ratio: str
    frame_rate: str
    time_base: str
    display_matrix: tuple[int, ...] | None
    is_still: bool
    layers: tuple[dict[str, int], ...]
    audio_tracks: tuple[dict[str, Any], ...]
    metadata: dict[str, str]
    n_frames: int
    n_gops: int
    frame_types: dict[str, FrameTypeSummary]
    substream_bytes: dict[str, int]
    audio_bytes: int
    duration_s: float
    bpp: float
    bitrate_kbps: float
    finished: bool
    fault: str | None


class FrameTally:
    """Counts frames by type, and the time they span."""

    def __init__(self, header: StreamHeader) -> None:
        self.n_frames = 0
        self._header = header
        self._counts: dict[str, list[int]] = {}
        self._first_pts = self._last_pts = self._last_duration = 0

    def add(self, packet: FramePacket, size_bytes: int) -> None:
        """Count one frame whose unit, GOP header included, has `size_bytes`."""
        count = self._counts.setdefault(packet.frame_type.name, [0, 0, 0])
        for place, value in enumerate((1, size_bytes, packet.qp)):
            count[place] += value
        if not self.n_frames:
            self._first_pts = packet.pts
        self._last_pts, self._last_duration = packet.pts, packet.duration
        self.n_frames += 1

    def time_s(self, pts: int) -> float:
        """Seconds from the first frame to `pts`."""
        return float((pts - self._first_pts) * self._header.time_base)

    @property
    def duration_s(self) -> float:
        if not self.n_frames:
            return 0.0
        tail = self._last_duration * self._header.time_base
        if not tail and self._header.frame_rate and not self._header.is_still:
            tail = 1 / self._header.frame_rate
        return self.time_s(self._last_pts) + float(tail)

    @property
    def frame_types(self) -> dict[str, FrameTypeSummary]:
        return {
            name: FrameTypeSummary(n_frames, size_bytes, qps / n_frames)
            for name, (n_frames, size_bytes, qps) in sorted(self._counts.items())
        }

    def bpp(self, size_bytes: int) -> float:
        n_pixels = self.n_frames * self._header.width * self._header.height
        return 8 * size_bytes / n_pixels if n_pixels else 0.0

    def bitrate_kbps(self, size_bytes: int) -> float:
        seconds = self.duration_s
        return 8 * size_bytes / seconds / 1000 if seconds else 0.0
