"""What frames cost at a base qp, in bits or in dB: one number per frame, its *level*, says it for every qp.

Costs are modelled over the base qp of the video, not over the frame's own: a frame costs more where those
before it were coarse, so that changing one frame moves bits to the next ones, while changing all of them
saves or spends (measured: bits halve with 2.5 of a frame's own qp, with about 10 of the base qp).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import numpy.typing as npt

from nvc.config import QP_MAX
from nvc.gop import CASCADE_QP_OFFSETS, REFRESH_PERIOD, is_refresh

Floats = npt.NDArray[np.float64]
REFRESH = 1 + len(CASCADE_QP_OFFSETS)


def kind_of(place: int, gop_frames: int | None) -> int:
    """0 for a keyframe, 1 and on for the places of the cascade, REFRESH for that."""
    if is_refresh(place, gop_frames):
        return REFRESH
    return 1 + (place - 1) % len(CASCADE_QP_OFFSETS) if place else 0


def kinds_of_p_frames(gop_frames: int | None) -> npt.NDArray[np.int64]:
    """Those of the P frames from one refresh to the next, in GOPs of so many frames."""
    return np.array([kind_of(place, gop_frames) for place in range(1, REFRESH_PERIOD + 1)])


class Cost(Protocol):
    """A unit of cost. Kinds, levels and costs are arrays of one length or numbers."""

    first_levels: tuple[float, ...]
    """What is expected of each kind before a frame is coded."""
    surprise: float
    """How far a level may be off before the first frame of its kind is worth coding again."""
    first_gain: float
    """How much of what the first P frame says is believed of the next."""
    step_of_news: float
    """qp that the base may move then."""

    def of(self, size_bytes: int, psnr_db: float) -> float:
        """What a coded frame has cost."""
        ...

    def level(self, cost: float, kind: int, base: float) -> float: ...

    def at(self, levels: Floats, kinds: npt.NDArray[np.int64], base: float) -> Floats: ...


class Bits:
    """Bits of whole frame units: a fixed part for headers, the rest falls exponentially with qp."""

    surprise = 0.7  # in log2: 1.6 times too much or too little
    first_gain = 1.0
    step_of_news = 6.0
    # Medians of nine held-out training clips at base qp 20 to 44 (7 to 15 by clip). Only a start: levels
    # are learnt, and slopes matter for short steps alone.
    QP_PER_HALVING = np.array([10.0, 10.0, 10.0, 10.0, 10.0, 10.0])
    HEADER_BITS = np.array([200.0, 104.0, 104.0, 104.0, 104.0, 104.0])
    FIRST_LEVELS = np.array([1.8, -2.2, -1.3, -1.5, -0.8, 1.2])  # log2 of bits per pixel at base qp 0
    LEAST_BITS = 32.0

    def __init__(self, n_pixels: int) -> None:
        self.first_levels = tuple(self.FIRST_LEVELS + np.log2(n_pixels))

    def of(self, size_bytes: int, psnr_db: float) -> float:
        return 8.0 * size_bytes

    def level(self, cost: float, kind: int, base: float) -> float:
        bits = max(cost - self.HEADER_BITS[kind], self.LEAST_BITS)
        return float(np.log2(bits) + base / self.QP_PER_HALVING[kind])

    def at(self, levels: Floats, kinds: npt.NDArray[np.int64], base: float) -> Floats:
        return np.asarray(self.HEADER_BITS[kinds] + np.exp2(levels - base / self.QP_PER_HALVING[kinds]))


class Decibels:
    """PSNR as (6 Y + U + V) / 8; it falls with qp, as bits do."""

    surprise = 1.5
    first_gain = 0.1  # P frames behind a keyframe still live on its quality
    step_of_news = 0.0
    DB_PER_QP = 0.28

    def __init__(self) -> None:
        self.first_levels: tuple[float, ...] = (47.3, 45.4, 45.3, 44.5, 45.0, 46.0)

    def of(self, size_bytes: int, psnr_db: float) -> float:
        return psnr_db

    def level(self, cost: float, kind: int, base: float) -> float:
        return cost + self.DB_PER_QP * base

    def at(self, levels: Floats, kinds: npt.NDArray[np.int64], base: float) -> Floats:
        return np.asarray(levels - self.DB_PER_QP * base)


def solve_base(cost_at: Callable[[float], float], target: float) -> float:
    """The base qp at which a falling cost meets the target, within what any frame can use."""
    low, high = -8.0, QP_MAX + 8.0
    for _ in range(24):
        middle = (low + high) / 2
        if cost_at(middle) > target:
            low = middle
        else:
            high = middle
    return (low + high) / 2
