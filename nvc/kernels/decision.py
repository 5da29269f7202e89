"""What the encoder's last word on vectors weighs against their bits. Nothing a decoder computes."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from nvc.kernels.compile import inlined, kernel
from nvc.kernels.search import PAD, REACH
from nvc.kernels.team import spread
from nvc.models.warp import GRID, VECTOR_UNIT

Ints = npt.NDArray[np.int32]

_TOO_DEAR = 1e9
_WORK = 6000  # of a block, see `spread`


@inlined
def _hadamard(x):
    """The Hadamard transform of GRID values; sqrt(GRID) times the orthonormal one."""
    a, b, c, d, e, f, g, h = x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7]
    a, b, c, d, e, f, g, h = a + b, a - b, c + d, c - d, e + f, e - f, g + h, g - h
    a, b, c, d, e, f, g, h = a + c, b + d, a - c, b - d, e + g, f + h, e - g, f - h
    return a + e, b + f, c + g, d + h, a - e, b - f, c - g, d - h


@inlined
def coded_bits(block, bits_per_square, knee, most):
    """About what it takes to code or to bear a residual, whose rows are transformed in place.

    A coefficient is worth its square times `bits_per_square`, but where that exceeds `knee` it will rather
    be coded, which takes bits as its logarithm. Sums beyond `most` may end early.
    """
    for row in block:
        row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7] = _hadamard(row)
    scale = bits_per_square / (GRID * GRID * knee)
    total = 0.0
    for start in range(0, GRID, 4):
        product = 1.0  # of four columns, for one logarithm; no factor exceeds 1e7
        for i in range(start, start + 4):
            for value in _hadamard(block[:, i]):
                product *= 1.0 + value * value * scale
        total += knee * math.log(product)
        if total > most:
            break
    return total


@inlined
def _residual_bits(planes, current, row, column, x, y, bits_per_square, knee, most, block):
    """About what the residual of a block takes that is moved by (x, y), see `coded_bits`."""
    top, left = row * GRID + PAD + y // VECTOR_UNIT, column * GRID + PAD + x // VECTOR_UNIT
    if top < 0 or left < 0 or top + GRID > planes.shape[2] or left + GRID > planes.shape[3]:
        return _TOO_DEAR
    plane = planes[y % VECTOR_UNIT, x % VECTOR_UNIT]
    for j in range(GRID):
        for i in range(GRID):
            its = current[row * GRID + REACH + j, column * GRID + REACH + i]
            block[j, i] = np.float32(plane[top + j, left + i]) - np.float32(its)
    return coded_bits(block, bits_per_square, knee, most)


@inlined
def _bits(x, y, candidates, ranks, rows, mean, bits, symbols):
    """What a vector takes: which known one it is, or that it is new and how it differs from the mean."""
    for j in range(len(candidates)):
        if ranks[j] >= 0 and candidates[j, 0] == x and candidates[j, 1] == y:
            return bits[rows[0], abs(symbols[ranks[j]])]
    last = bits.shape[1] - 1
    of_x, of_y = min(abs(x - mean[0]), last), min(abs(y - mean[1]), last)
    return bits[rows[0], abs(symbols[-1])] + bits[rows[1], of_x] + bits[rows[2], of_y]


@inlined
def _bits_of_neighbours(field, is_coded, row, column, x, y, prices):
    """What it takes the neighbours that are still to come to differ from (x, y)."""
    rows, columns, _ = field.shape
    last, total = len(prices) - 1, 0.0
    for side in range(4):
        beside = row + (side == 0) - (side == 1), column + (side == 2) - (side == 3)
        if 0 <= beside[0] < rows and 0 <= beside[1] < columns and not is_coded[beside]:
            to_x, to_y = abs(x - field[beside][0]), abs(y - field[beside][1])
            total += prices[min(to_x, last)] + prices[min(to_y, last)]
    return total


@kernel
def _decide(surroundings, tables, here, own, expected, bits_per_square, knee, best, start, end):
    planes, current, field, is_coded, prices, shares = surroundings
    bits, symbols = tables
    candidates, ranks, rows, means = expected
    block = np.empty((GRID, GRID), np.float32)
    n_known = 1 + candidates.shape[1]
    for i in range(start, end):
        row, column = here[i] // field.shape[1], here[i] % field.shape[1]
        least = np.inf
        for option in range(n_known + 9):
            x, y = own[i]
            if 0 < option < n_known:
                x, y = candidates[i, option - 1]
            elif option >= n_known:
                x, y = x + (option - n_known) // 3 - 1, y + (option - n_known) % 3 - 1
            cost = _bits(x, y, candidates[i], ranks[i], rows[i], means[i], bits, symbols)
            cost += _bits_of_neighbours(field, is_coded, row, column, x, y, prices)
            if cost >= least:
                continue
            share = shares[row, column]
            cost += share * _residual_bits(
                planes, current, row, column, x, y, bits_per_square, knee, (least - cost) / share, block
            )
            if cost < least:
                least, best[i, 0], best[i, 1] = cost, x, y


def decide(
    surroundings: tuple[npt.NDArray[Any], ...],
    tables: tuple[npt.NDArray[Any], ...],
    here: npt.NDArray[np.int64],
    own: Ints,
    expected: tuple[Ints, ...],
    bits_per_square: float,
    knee: float,
) -> Ints:
    """The cheapest vector of each of some blocks: [n, 2], its own, a candidate, or one next to its own.

    surroundings: planes and current picture as for `search_blocks`; the vectors that were found, [rows,
    columns, 2]; bool [rows, columns], which of them are past; what a component costs a neighbour still to
    come that differs from it; float32 [rows, columns], over 0, how much of a residual counts. tables:
    bits of symbols by table row and size; symbols of ranks. here: [n], places in the flattened grid; own:
    [n, 2]. expected: candidates [n, k, 2], their ranks [n, k], table rows [n, 3] and means [n, 2], see
    motion_coder.Expected.
    """
    best = np.empty_like(own)
    run = partial(_decide, surroundings, tables, here, own, expected, bits_per_square, knee, best)
    spread(run, len(here), len(here) * _WORK)
    return best
