"""Steering without knowing what comes: low delay, any length, one frame at a time."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt

from nvc.gop import qp_offset
from nvc.rate.control import Dither, Seconds
from nvc.rate.cost import REFRESH, Cost, kind_of, kinds_of_p_frames, solve_base

PAYBACK_S = 2.5  # over which a keyframe's cost beyond its share is saved again
CORRECTION_S = 1.5  # in which other deviations would be made good
STEP = 0.4  # qp that the base moves from one frame to the next at most, once the video is known
STEP_AT_CUT = 6.0
GAIN = 0.15  # of the newest frame in what is expected of the next
KIND_GAIN = 0.1
REFRESH_GAIN = 0.5
N_RETRIES = 2

_KEYFRAME, _CASCADE = np.arange(1), np.arange(1, REFRESH)


class Levels:
    """What is expected of each kind of frame, learnt as frames are coded."""

    def __init__(self, cost: Cost, gop_frames: int | None) -> None:
        """gop_frames: the most a GOP has, if it is known."""
        self._cost = cost
        self._p_kinds = kinds_of_p_frames(gop_frames)
        self._levels = np.array(cost.first_levels)
        self.n_p_frames = 0
        """How many P frames the levels have seen, since they were told to forget."""
        self._is_fresh = True

    def keyframe(self, base: float) -> float:
        return self._mean(_KEYFRAME, base)

    def p_frame(self, base: float) -> float:
        """Mean over all P frames."""
        return self._mean(self._p_kinds, base)

    def refresh_share(self, base: float) -> float:
        """What a refresh takes beyond the others, shared by all P frames."""
        return self._mean(self._p_kinds, base) - self._mean(_CASCADE, base)

    def _mean(self, kinds: npt.NDArray[np.int64], base: float) -> float:
        return float(self._cost.at(self._levels[kinds], kinds, base).mean())

    def error(self, cost: float, kind: int, base: float) -> float:
        return self._cost.level(cost, kind, base) - float(self._levels[kind])

    def learn(self, error: float, kind: int) -> None:
        if not kind:
            # A busy picture makes busy P frames, as long as nothing else is known of them.
            self._levels[0 : None if self._is_fresh else 1] += error
            return
        if kind == REFRESH:  # they are rare, and what one of them was tells of the next
            self._levels[kind] += REFRESH_GAIN * error
            return
        self._is_fresh = False
        gain = max(self._cost.first_gain / (self.n_p_frames + 1), GAIN)
        self._levels[1:] += gain * error
        self._levels[kind] += KIND_GAIN * (1 - gain) * error
        self.n_p_frames += 1

    def forget(self) -> None:
        """The next P frame tells more than those before."""
        self.n_p_frames = 0


class OnePass:
    """Each frame has a share (of a bitrate, or a PSNR); deviations are worked off slowly.

    A keyframe takes what a base qp for the whole GOP gives it, and the frames after it pay back the excess
    evenly; for a refresh the frames before it save. Where the first frames surprise they are coded again, so
    that the start of a video is right, too.
    """

    def __init__(
        self,
        cost: Cost,
        share_of: Callable[[int], float],
        seconds: Seconds,
        gop_frames: int | None,
        debt: float = 0.0,
    ) -> None:
        """share_of: a frame's, by its duration in ticks. gop_frames: the most a GOP has, if it is known.
        debt: already spent, in the unit of cost."""
        self._cost = cost
        self._share_of = share_of
        self._seconds = seconds
        self._gop_frames = gop_frames
        self._offset = partial(qp_offset, gop_frames=gop_frames)
        self._levels = Levels(cost, gop_frames)
        self._dither = Dither()
        self._debt = debt
        self._payback = 0.0  # of each of the next `_n_payback` frames
        self._n_payback = 0
        self._savings = 0.0  # for the next refresh
        self._base: float | None = None
        self._wanted_base = 0.0
        self._place = -1
        self._share = 0.0
        self._n_planned = 1
        self._n_tries = 0
        self._is_open = False  # a frame was begun and not yet accepted

    def next_qp(self, place: int, duration: int) -> int:
        if not place and not self._is_open:
            self._begin_gop()
        self._is_open = True
        self._place = place
        self._share = self._share_of(duration)
        n_correction = max(CORRECTION_S / self._seconds(duration), 4.0)
        target = self._share - self._debt / n_correction
        if place:
            self._wanted_base = solve_base(self._levels.p_frame, target - self._due)
        else:
            n = max(round(PAYBACK_S / self._seconds(duration)), 1)
            n = self._n_planned = min(n, self._gop_frames or n)
            levels = self._levels
            self._wanted_base = solve_base(
                lambda base: levels.keyframe(base) + (n - 1) * levels.p_frame(base), n * target
            )
        if self._base is not None:
            news = self._cost.step_of_news if place else STEP_AT_CUT
            step = max(STEP, news / (self._levels.n_p_frames + 1) ** 2)
            self._wanted_base = min(max(self._wanted_base, self._base - step), self._base + step)
        return self._dither.round(self._wanted_base + self._offset(place))

    def accept(self, qp: int, size_bytes: int, psnr_db: float) -> bool:
        kind = kind_of(self._place, self._gop_frames)
        cost = self._cost.of(size_bytes, psnr_db)
        error = self._levels.error(cost, kind, qp - self._offset(self._place))
        is_news = not kind or not self._levels.n_p_frames
        if is_news and abs(error) > self._cost.surprise and self._n_tries < N_RETRIES:
            self._n_tries += 1
            self._levels.learn(error, kind)
            if kind:
                self._levels.forget()
            return False
        self._n_tries = 0
        self._is_open = False
        self._levels.learn(error, kind)
        self._dither.settle(self._wanted_base + self._offset(self._place), qp)
        self._base = self._wanted_base
        self._book(cost, kind)
        return True

    @property
    def _due(self) -> float:
        return self._payback if self._n_payback else 0.0

    def _begin_gop(self) -> None:
        """What the GOP before still owes is owed at once; a cut makes its frames no guide to the new ones."""
        self._debt += self._payback * self._n_payback - self._savings
        self._n_payback = 0
        self._savings = 0.0
        if self._place + 1 != self._gop_frames:
            self._levels.forget()

    def _book(self, cost: float, kind: int) -> None:
        excess = cost - self._share
        if not kind and self._n_planned > 1:
            self._n_payback = self._n_planned - 1
            self._payback = excess / self._n_payback
            return
        if kind == REFRESH:
            excess -= self._savings
            self._savings = 0.0
        else:
            saved = self._levels.refresh_share(self._wanted_base)
            self._debt += saved
            self._savings += saved
        self._debt += excess + self._due
        self._n_payback = max(self._n_payback - 1, 0)
