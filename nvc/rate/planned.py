"""Steering with what an earlier pass measured of every frame: a steady base qp that meets a total."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from nvc.gop import qp_offset
from nvc.rate.control import Dither
from nvc.rate.cost import REFRESH, Cost, kind_of, solve_base

STEP = 0.2  # qp that the base moves from one frame to the next at most
GAIN = 0.1  # of the newest frame in how this pass differs from the one before


@dataclass(frozen=True)
class FrameResult:
    """A frame as a pass coded it."""

    place: int
    qp: int
    size_bytes: int
    psnr_db: float
    """(6 Y + U + V) / 8."""


class Planned:
    """One base qp for all frames that are left, solved anew after each: what is spent is known, the rest is
    as in the earlier pass, put right by how its frames and those of this pass differ so far."""

    def __init__(self, cost: Cost, frames: Sequence[FrameResult], total: float) -> None:
        """total: of the costs of all frames. `frames` are all those of the video."""
        self._cost = cost
        self._frames = frames
        self._left = total
        gop_frames = 1 + max((frame.place for frame in frames), default=0)
        self._offset = partial(qp_offset, gop_frames=gop_frames)
        self._kinds = np.array([kind_of(frame.place, gop_frames) for frame in frames])
        self._levels = np.array(
            [
                cost.level(cost.of(f.size_bytes, f.psnr_db), kind, f.qp - self._offset(f.place))
                for f, kind in zip(frames, self._kinds.tolist(), strict=True)
            ]
        )
        self._groups = np.where(self._kinds == REFRESH, 2, self._kinds > 0)
        self._shift = np.zeros(3)  # of keyframes, of P frames, and of refreshes
        self._n_seen = [0, 0, 0]
        self._next = 0
        self._place = 0
        self._dither = Dither()
        self._base: float | None = None
        self._wanted_base = 0.0

    def next_qp(self, place: int, duration: int) -> int:
        self._place = place
        base = self._base
        if base is None or self._next < len(self._frames):
            self._wanted_base = solve_base(self._cost_of_the_rest, self._left)
        if base is not None:
            self._wanted_base = min(max(self._wanted_base, base - STEP), base + STEP)
        return self._dither.round(self._wanted_base + self._offset(place))

    def accept(self, qp: int, size_bytes: int, psnr_db: float) -> bool:
        offset = self._offset(self._place)
        cost = self._cost.of(size_bytes, psnr_db)
        if self._next < len(self._frames):
            kind, group = int(self._kinds[self._next]), int(self._groups[self._next])
            error = self._cost.level(cost, kind, qp - offset) - self._levels[self._next]
            gain = max(1 / (self._n_seen[group] + 2), GAIN)
            self._shift[group] += gain * (error - self._shift[group])
            self._n_seen[group] += 1
        self._left -= cost
        self._next += 1
        self._dither.settle(self._wanted_base + offset, qp)
        self._base = self._wanted_base
        return True

    def _cost_of_the_rest(self, base: float) -> float:
        kinds = self._kinds[self._next :]
        levels = self._levels[self._next :] + self._shift[self._groups[self._next :]]
        return float(self._cost.at(levels, kinds, base).sum())
