"""From settings to the controls of each pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from nvc.config import EncoderConfig
from nvc.rate.control import ConstantQp, LeakyBucket, RateControl
from nvc.rate.cost import Bits, Cost, Decibels
from nvc.rate.one_pass import OnePass
from nvc.rate.planned import FrameResult, Planned

DEFAULT_FRAME_S = 1 / 25  # where neither a frame nor the video tells
SHORTEST_FRAME_S = 1e-4
BUFFER_S = 1.0  # of maxrate, where no bufsize is given


@dataclass(frozen=True)
class VideoFacts:
    """What a control needs to know of the video before its first frame."""

    width: int
    height: int
    time_base: Fraction
    frame_rate: Fraction | None = None
    n_frames: int | None = None
    """As far as it is known."""
    overhead_bytes: int = 0
    """Stream header and trailer."""
    audio_kbps: float = 0.0

    def seconds(self, duration: int) -> float:
        """A frame's duration, by the frame rate where it is not known."""
        known = float(duration * self.time_base)
        return max(
            known or (float(1 / self.frame_rate) if self.frame_rate else DEFAULT_FRAME_S), SHORTEST_FRAME_S
        )


@dataclass(frozen=True)
class PassResult:
    """A finished pass. `other_bytes`: of the stream without frames and sound."""

    frames: Sequence[FrameResult]
    duration_s: float
    other_bytes: int
    audio_bytes: int


def first_control(config: EncoderConfig, facts: VideoFacts) -> RateControl:
    """The control of a first or only pass."""
    return _in_bucket(config, facts, _first(config, facts))


def next_control(config: EncoderConfig, facts: VideoFacts, before: PassResult) -> RateControl:
    """The control of a pass that has an earlier one behind it."""
    return _in_bucket(config, facts, _next(config, facts, before))


def _first(config: EncoderConfig, facts: VideoFacts) -> RateControl:
    known = [n for n in (config.gop_frames, facts.n_frames) if n is not None and n > 0]
    gop_frames = min(known, default=None)
    if config.psnr_db is not None:
        target = config.psnr_db
        return OnePass(Decibels(), lambda duration: target, facts.seconds, gop_frames)
    kbps = config.bitrate_kbps
    if config.size_bytes is not None and facts.n_frames:
        # The first of two passes: near the target frames cost what the second pass will see.
        seconds = facts.n_frames * facts.seconds(0)
        kbps = max(8 * config.size_bytes / seconds / 1000 - facts.audio_kbps, 1.0)
    if kbps is None:
        return ConstantQp(config.base_qp, gop_frames)
    bits_per_s = 1000 * kbps
    return OnePass(
        Bits(facts.width * facts.height),
        lambda duration: bits_per_s * facts.seconds(duration),
        facts.seconds,
        gop_frames,
        debt=8 * facts.overhead_bytes,
    )


def _next(config: EncoderConfig, facts: VideoFacts, before: PassResult) -> RateControl:
    cost: Cost = Bits(facts.width * facts.height)
    if config.psnr_db is not None:
        return Planned(Decibels(), before.frames, config.psnr_db * len(before.frames))
    if config.size_bytes is not None:
        total_bytes: float = config.size_bytes - before.audio_bytes - before.other_bytes
    else:
        assert config.bitrate_kbps is not None
        total_bytes = config.bitrate_kbps * 125 * before.duration_s - before.other_bytes
    return Planned(cost, before.frames, 8.0 * total_bytes)


def _in_bucket(config: EncoderConfig, facts: VideoFacts, control: RateControl) -> RateControl:
    if config.maxrate_kbps is None:
        return control
    bufsize = config.bufsize_kbits or BUFFER_S * config.maxrate_kbps
    return LeakyBucket(control, config.maxrate_kbps, bufsize, facts.seconds)
