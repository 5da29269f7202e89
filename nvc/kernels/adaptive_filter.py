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
_TAP_SHIFT = np.int32(TAP_UNIT.bit_length() - 1)
_WORK = 300  # of a quad, see `spread`


@inlined
def _second_difference(before, here, after, to_before, to_after, out):
    """Add sizes of second differences of a row's samples, between samples so far along the rows beside."""
    first, last = np.uint64(REACH + to_before), np.uint64(REACH + to_after)
    for x in range(np.uint64(len(out))):
        twice = times(2, here[x + np.uint64(REACH)])
        out[x] = plus(out[x], abs(np.int32(twice - before[x + first] - after[x + last])))


@kernel
def _differences(wide, out, start, end):
    """Sums of second differences of each quad: down, right, falling, rising; out [4, rows, columns]."""
    sums = np.empty((4, 2 * out.shape[2]), np.int32)
    for row in range(start, end):
        sums[:] = np.int32(0)
        for j in range(REACH + 2 * row, REACH + 2 * row + 2):
            above, here, below = wide[j - 1], wide[j], wide[j + 1]
            _second_difference(above, here, below, 0, 0, sums[0])
            _second_difference(here, here, here, -1, 1, sums[1])
            _second_difference(above, here, below, -1, 1, sums[2])
            _second_difference(above, here, below, 1, -1, sums[3])
        for direction in range(4):
            of_samples, of_quads = sums[direction], out[direction, row]
            for column in range(np.uint64(len(of_quads))):
                i = np.uint64(2) * column
                of_quads[column] = plus(of_samples[i], of_samples[i + np.uint64(1)])


@inlined
def _classify(quads, row, sums, kinds, orders):
    """Kinds and orders of a row of quads, see `models.adaptive_filter.classify`. sums: [4, columns + 2]."""
    _, rows, columns = quads.shape
    one, two, n = np.uint64(1), np.uint64(2), np.uint64(columns)
    for direction in range(4):
        above, below = quads[direction, max(row - 1, 0)], quads[direction, min(row + 1, rows - 1)]
        here, wide = quads[direction, row], sums[direction]
        for column in range(n):
            wide[column + one] = plus(plus(above[column], here[column]), below[column])
        wide[0], wide[columns + 1] = wide[1], wide[columns]
    s0, s1, s2, s3 = sums[0], sums[1], sums[2], sums[3]
    for column in range(n):
        down = np.int64(s0[column]) + s0[column + one] + s0[column + two]
        right = np.int64(s1[column]) + s1[column + one] + s1[column + two]
        falling = np.int64(s2[column]) + s2[column + one] + s2[column + two]
        rising = np.int64(s3[column]) + s3[column + one] + s3[column + two]
        kind = 0
        for index in range(len(ACTIVITY_FROM)):
            kind += 3 if down + right >= ACTIVITY_FROM[index] else 0
        most, least = max(down, right), min(down, right)
        most_diagonal, least_diagonal = max(falling, rising), min(falling, rising)
        if most * least_diagonal >= most_diagonal * least:
            kind += 2 if MORE * most > THAN * least else 0
        else:
            kind += 1 if MORE * most_diagonal > THAN * least_diagonal else 0
        kinds[column], orders[column] = kind, 2 * (down > right) + (rising > falling)


@inlined
def _put_inputs(wide, row, k, out):
    """Put what a tap multiplies into `out`, for the samples of a row."""
    here, there, opposite = wide[REACH + row], wide[REACH + row + _DOWN[k]], wide[REACH + row - _DOWN[k]]
    to_there, to_opposite = np.uint64(REACH + _RIGHT[k]), np.uint64(REACH - _RIGHT[k])
    for x in range(np.uint64(len(out))):
        both = plus(there[x + to_there], opposite[x + to_opposite])
        out[x] = np.int32(both - times(2, here[x + np.uint64(REACH)]))


@inlined
def _correct(wide, row, taps, inputs, totals, out):
    """Filter a row by taps [N_TAPS, w]; inputs, totals: room, [w]."""
    totals[:] = np.int32(TAP_UNIT // 2)
    for k in range(N_TAPS):
        own = taps[k]
        _put_inputs(wide, row, k, inputs)
        for x in range(np.uint64(len(totals))):
            totals[x] = plus(totals[x], times(own[x], inputs[x]))
    here, filtered = wide[REACH + row], out[row]
    least, most = np.int32(-128), np.int32(127)
    for x in range(np.uint64(len(totals))):
        # Shifted as Python divides integers: down, below 0, too.
        value = plus(here[x + np.uint64(REACH)], np.int32(totals[x] >> _TAP_SHIFT))
        filtered[x] = np.float32(min(max(value, least), most))


@kernel
def _filter_luma(wide, quads, taps, ranges, out, start, end):
    columns, width = quads.shape[2], out.shape[1]
    sums, own = np.empty((4, columns + 2), np.int32), np.empty((N_TAPS, width), np.int32)
    kinds, orders = np.empty(columns, np.int64), np.empty(columns, np.int64)
    inputs, totals = np.empty(width, np.int32), np.empty(width, np.int32)
    for row in range(start, end):
        _classify(quads, row, sums, kinds, orders)
        y = min(row // _QUADS_PER_BLOCK, ranges.shape[0] - 1)
        for column in range(columns):
            x = min(column // _QUADS_PER_BLOCK, ranges.shape[1] - 1)
            its, order = taps[ranges[y, x], kinds[column]], _ORDERS[orders[column]]
            for k in range(N_TAPS):
                own[k, 2 * column] = own[k, 2 * column + 1] = its[order[k]]
        for j in range(2 * row, 2 * row + 2):
            _correct(wide, j, own, inputs, totals, out)


@kernel
def _filter_chroma(wide, taps, ranges, out, start, end):
    width = out.shape[1]
    own = np.empty((N_TAPS, width), np.int32)
    inputs, totals = np.empty(width, np.int32), np.empty(width, np.int32)
    for row in range(start, end):
        y = min(2 * row // _QUADS_PER_BLOCK, ranges.shape[0] - 1)
        for column in range(width):
            x = min(column // _QUADS_PER_BLOCK, ranges.shape[1] - 1)
            for k in range(N_TAPS):
                own[k, column] = taps[ranges[y, x], k]
        for j in range(2 * row, 2 * row + 2):
            _correct(wide, j, own, inputs, totals, out)


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
    quads = np.empty((4, rows, columns), np.int32)
    run: Any = partial(_differences, wide, quads)
    spread(run, rows, rows * columns * _WORK)
    return quads


@inlined
def _put_all_inputs(wide, target, row, inputs):
    """Put what taps multiply, and what is missing to `target`, into [N_TAPS + 1, 2, w], of a row of quads."""
    for j in range(2):
        for k in range(N_TAPS):
            _put_inputs(wide, 2 * row + j, k, inputs[k, j])
        here, missing, wanted = wide[REACH + 2 * row + j], inputs[N_TAPS, j], target[2 * row + j]
        for x in range(np.uint64(len(missing))):
            missing[x] = np.int32(np.int32(wanted[x]) - here[x + np.uint64(REACH)])


@inlined
def _add_moments(inputs, column, order, values, out):
    """Add products of a quad's inputs with one another, and with what is missing."""
    i = np.uint64(2 * column)
    for k in range(N_TAPS + 1):
        upper, lower = inputs[k, 0], inputs[k, 1]
        own = values[order[k]] if k < N_TAPS else values[N_TAPS]
        own[0], own[1] = upper[i], upper[i + np.uint64(1)]
        own[2], own[3] = lower[i], lower[i + np.uint64(1)]
    for k in range(N_TAPS):
        for m in range(k, N_TAPS + 1):
            total = np.int32(0)
            for sample in range(4):
                total = plus(total, times(values[k, sample], values[m, sample]))
            out[k, m] += total


@kernel
def _luma_moments(wide, quads, target, out, start, end):
    columns = quads.shape[2]
    inputs = np.empty((N_TAPS + 1, 2, 2 * columns), np.int32)
    sums, values = np.empty((4, columns + 2), np.int32), np.empty((N_TAPS + 1, 4), np.int32)
    kinds, orders = np.empty(columns, np.int64), np.empty(columns, np.int64)
    for row in range(start, end):
        _classify(quads, row, sums, kinds, orders)
        _put_all_inputs(wide, target, row, inputs)
        for column in range(columns):
            _add_moments(inputs, column, _ORDERS[orders[column]], values, out[row, kinds[column]])


@kernel
def _chroma_moments(wide, target, out, start, end):
    inputs = np.empty((N_TAPS + 1, 2, target.shape[1]), np.int32)
    values = np.empty((N_TAPS + 1, 4), np.int32)
    for row in range(start, end):
        _put_all_inputs(wide, target, row, inputs)
        for column in range(target.shape[1] // 2):
            _add_moments(inputs, column, _ORDERS[0], values, out[row, 0])


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
