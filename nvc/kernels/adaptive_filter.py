"""The adaptive filter quad by quad, and what an encoder needs to fit its taps."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from nvc.frames import edged
from nvc.kernels.compile import inlined, kernel, plus, times
from nvc.kernels.team import spread
from nvc.models.adaptive_filter import (
    ACTIVITY_FROM,
    MORE,
    N_KINDS,
    N_TAPS,
    NEIGHBOURS,
    ORDERS,
    REACH,
    TAP_UNIT,
    THAN,
)

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int32]

_DOWN = np.array([down for down, _ in NEIGHBOURS])
_RIGHT = np.array([right for _, right in NEIGHBOURS])
_ORDERS = np.array(ORDERS)
_QUADS_PER_BLOCK = 8  # a side, of 16x16 luma samples; in chroma samples, too
_WORK = 300  # of a quad, see `spread`


@kernel
def _differences(wide, out, start, end):
    """Sums of second differences of each quad: down, right, falling, rising."""
    for row in range(start, end):
        for column in range(out.shape[1]):
            down = right = falling = rising = 0
            for j in range(REACH + 2 * row, REACH + 2 * row + 2):
                for i in range(REACH + 2 * column, REACH + 2 * column + 2):
                    twice = 2 * wide[j, i]
                    down += abs(twice - wide[j - 1, i] - wide[j + 1, i])
                    right += abs(twice - wide[j, i - 1] - wide[j, i + 1])
                    falling += abs(twice - wide[j - 1, i - 1] - wide[j + 1, i + 1])
                    rising += abs(twice - wide[j - 1, i + 1] - wide[j + 1, i - 1])
            out[row, column, 0] = down
            out[row, column, 1] = right
            out[row, column, 2] = falling
            out[row, column, 3] = rising


@inlined
def _classify(quads, row, column):
    """Kind and order of a quad, see `models.adaptive_filter.classify`."""
    rows, columns, _ = quads.shape
    down = right = falling = rising = np.int64(0)
    for j in range(row - 1, row + 2):
        y = min(max(j, 0), rows - 1)
        for i in range(column - 1, column + 2):
            x = min(max(i, 0), columns - 1)
            down += quads[y, x, 0]
            right += quads[y, x, 1]
            falling += quads[y, x, 2]
            rising += quads[y, x, 3]
    kind = 0
    for index in range(len(ACTIVITY_FROM)):
        kind += 3 if down + right >= ACTIVITY_FROM[index] else 0
    most, least = max(down, right), min(down, right)
    most_diagonal, least_diagonal = max(falling, rising), min(falling, rising)
    if most * least_diagonal >= most_diagonal * least:
        kind += 2 if MORE * most > THAN * least else 0
    else:
        kind += 1 if MORE * most_diagonal > THAN * least_diagonal else 0
    return kind, 2 * (down > right) + (rising > falling)


@inlined
def _correct(wide, row, column, taps, out):
    """Filter a quad."""
    for j in range(2 * row, 2 * row + 2):
        for i in range(2 * column, 2 * column + 2):
            here = wide[REACH + j, REACH + i]
            total = np.int32(TAP_UNIT // 2)
            for k in range(N_TAPS):
                there = wide[REACH + j + _DOWN[k], REACH + i + _RIGHT[k]]
                opposite = wide[REACH + j - _DOWN[k], REACH + i - _RIGHT[k]]
                total += taps[k] * (there + opposite - 2 * here)
            # as Python divides integers: down, below 0, too
            out[j, i] = np.float32(min(max(here + total // TAP_UNIT, -128), 127))


@kernel
def _filter_luma(wide, quads, taps, ranges, out, start, end):
    own = np.empty(N_TAPS, np.int32)
    for row in range(start, end):
        for column in range(quads.shape[1]):
            kind, order = _classify(quads, row, column)
            y = min(row // _QUADS_PER_BLOCK, ranges.shape[0] - 1)
            x = min(column // _QUADS_PER_BLOCK, ranges.shape[1] - 1)
            for k in range(N_TAPS):
                own[k] = taps[ranges[y, x], kind, _ORDERS[order, k]]
            _correct(wide, row, column, own, out)


@kernel
def _filter_chroma(wide, taps, ranges, out, start, end):
    for row in range(start, end):
        for column in range(out.shape[1] // 2):
            y = min(2 * row // _QUADS_PER_BLOCK, ranges.shape[0] - 1)
            x = min(2 * column // _QUADS_PER_BLOCK, ranges.shape[1] - 1)
            _correct(wide, row, column, taps[ranges[y, x]], out)


def filter_planes(planes: Sequence[Floats], taps: Ints, ranges: Ints) -> tuple[Floats, Floats, Floats]:
    """Y [h, w] and U, V [h/2, w/2], filtered; see `AdaptiveFilter`.

    taps: [ranges of qp, sets, N_TAPS]. ranges: of the picture [1, 1] or of its blocks [h/16, w/16].
    """
    out = tuple(np.empty_like(plane) for plane in planes)
    for index, (plane, filtered) in enumerate(zip(planes, out, strict=True)):
        wide = _widened(plane)
        run: Any
        if index:
            chosen = np.ascontiguousarray(taps[:, N_KINDS + index - 1])
            run = partial(_filter_chroma, wide, chosen, ranges, filtered)
        else:
            run = partial(_filter_luma, wide, _quads(wide), taps, ranges, filtered)
        spread(run, plane.shape[0] // 2, plane.size // 4 * _WORK)
    return out[0], out[1], out[2]


def _widened(plane: Floats) -> Ints:
    return edged(plane.astype(np.int32), REACH)


def _quads(wide: Ints) -> Ints:
    rows, columns = ((n - 2 * REACH) // 2 for n in wide.shape)
    quads = np.empty((rows, columns, 4), np.int32)
    run: Any = partial(_differences, wide, quads)
    spread(run, rows, rows * columns * _WORK)
    return quads


@inlined
def _add_moments(wide, target, row, column, order, values, out):
    """Add products of what a quad's neighbours differ by, with one another and with what is wanted."""
    for sample in range(4):
        j, i = 2 * row + sample // 2, 2 * column + sample % 2
        here = wide[REACH + j, REACH + i]
        for k in range(N_TAPS):
            there = wide[REACH + j + _DOWN[k], REACH + i + _RIGHT[k]]
            opposite = wide[REACH + j - _DOWN[k], REACH + i - _RIGHT[k]]
            values[order[k], sample] = there + opposite - 2 * here
        values[N_TAPS, sample] = np.int32(target[j, i]) - here
    for k in range(N_TAPS):
        for m in range(k, N_TAPS + 1):
            total = np.int32(0)
            for sample in range(4):
                total = plus(total, times(values[k, sample], values[m, sample]))
            out[k, m] += total


@kernel
def _luma_moments(wide, quads, target, out, start, end):
    values = np.empty((N_TAPS + 1, 4), np.int32)
    for row in range(start, end):
        for column in range(quads.shape[1]):
            kind, order = _classify(quads, row, column)
            _add_moments(wide, target, row, column, _ORDERS[order], values, out[row, kind])


@kernel
def _chroma_moments(wide, target, out, start, end):
    values = np.empty((N_TAPS + 1, 4), np.int32)
    for row in range(start, end):
        for column in range(target.shape[1] // 2):
            _add_moments(wide, target, row, column, _ORDERS[0], values, out[row, 0])


def moments(planes: Sequence[Floats], targets: Sequence[Floats]) -> Doubles:
    """For least squares, of each set of taps [sets, N_TAPS, N_TAPS + 1]: sums over samples of products of the
    taps' inputs with one another, and with what is missing to `targets` in the last column."""
    parts = []
    for index, (plane, target) in enumerate(zip(planes, targets, strict=True)):
        wide, rows = _widened(plane), plane.shape[0] // 2
        sums = np.zeros((rows, 1 if index else N_KINDS, N_TAPS, N_TAPS + 1), np.int64)
        run: Any
        if index:
            run = partial(_chroma_moments, wide, target, sums)
        else:
            run = partial(_luma_moments, wide, _quads(wide), target, sums)
        spread(run, rows, plane.size // 4 * _WORK)
        parts.append(sums.sum(0))
    found = np.concatenate(parts).astype(np.float64)
    upper = np.triu(found[..., :N_TAPS], 1)
    found[..., :N_TAPS] = np.triu(found[..., :N_TAPS]) + upper.swapaxes(1, 2)
    return found
