"""What an encoder asks before a frame and tells after it, and the two simplest answers."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Protocol

from nvc.gop import clip_qp, qp_offset

Seconds = Callable[[int], float]
"""A frame's duration in ticks, 0 if unknown, to seconds."""


class RateControl(Protocol):
    """Gives the qp of each frame in turn, and is told what came of it."""

    def next_qp(self, place: int, duration: int) -> int:
        """The qp, 0..63, for the frame `place` frames behind its keyframe that is shown `duration` ticks."""
        ...

    def accept(self, qp: int, size_bytes: int, psnr_db: float) -> bool:
        """Take note of the frame coded at `qp`: its unit's bytes, its PSNR as (6 Y + U + V) / 8.

        False: code the same frame again, at what `next_qp` says now.
        """
        ...


class ConstantQp:
    """One base qp and the cascade of the GOP."""

    def __init__(self, qp: int, gop_frames: int | None = None) -> None:
        """gop_frames: the most a GOP has, if it is known."""
        self._qp = qp
        self._offset = partial(qp_offset, gop_frames=gop_frames)

    def next_qp(self, place: int, duration: int) -> int:
        return clip_qp(self._qp + self._offset(place))

    def accept(self, qp: int, size_bytes: int, psnr_db: float) -> bool:
        return True


class Dither:
    """Whole qps whose mean is a fractional one: what rounding took from a frame is given to the next."""

    def __init__(self) -> None:
        self._carry = 0.0

    def round(self, wanted: float) -> int:
        return clip_qp(math.floor(wanted + self._carry + 0.5))

    def settle(self, wanted: float, used: int) -> None:
        """`used` is what a frame got in the end, which may be far from `wanted` at the ends of the range."""
        self._carry = min(max(self._carry + wanted - used, -0.5), 0.5)


class LeakyBucket:
    """Keeps another control's frames within a decoder's buffer: filled at maxrate, emptied by each frame.

    A frame that does not fit is coded again, coarser; the last resort is qp 63 as it is.
    """

    START_FULLNESS = 0.9
    N_TRIES = 8
    QP_PER_HALVING = 8.0

    def __init__(
        self, inner: RateControl, maxrate_kbps: float, bufsize_kbits: float, seconds: Seconds
    ) -> None:
        self._inner = inner
        self._maxrate = maxrate_kbps * 1000
        self._size = bufsize_kbits * 1000
        self._seconds = seconds
        self._fullness = self._size * self.START_FULLNESS
        self._duration = 0
        self._coarser = 0.0
        self._n_tries = 0

    def next_qp(self, place: int, duration: int) -> int:
        self._duration = duration
        return clip_qp(self._inner.next_qp(place, duration) + math.ceil(self._coarser))

    def accept(self, qp: int, size_bytes: int, psnr_db: float) -> bool:
        bits = 8 * size_bytes
        self._n_tries += 1
        if bits > self._fullness and qp < clip_qp(qp + 1) and self._n_tries < self.N_TRIES:
            room = max(self._fullness, 1.0)
            self._coarser += 0.5 + self.QP_PER_HALVING * min(math.log2(bits / room), 4.0)
            return False
        if not self._inner.accept(qp, size_bytes, psnr_db):
            return False
        self._n_tries = 0
        self._coarser /= 2
        filled = max(self._fullness - bits, 0.0) + self._maxrate * self._seconds(self._duration)
        self._fullness = min(self._size, filled)
        return True
