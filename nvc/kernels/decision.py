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

LANES = 16  # residuals that are weighed side by side
_WORK = 6000  # of a block, see `spread`


@inlined
def _hadamard(x, first, step, n):
    """The Hadamard transform of GRID values a `step` apart, of each of n that lie side by side, in place;
    sqrt(GRID) times the orthonormal one."""
    # Unsigned, so that indices are not checked for being negative, and the loop works on many at once.
    first, step = np.uint64(first), np.uint64(step)
    s2, s3, s4 = np.uint64(2) * step, np.uint64(3) * step, np.uint64(4) * step
    s5, s6, s7 = s4 + step, s4 + s2, s4 + s3
    for i in range(np.uint64(n)):
        o = first + i
        a, b, c, d = x[o], x[o + step], x[o + s2], x[o + s3]
        e, f, g, h = x[o + s4], x[o + s5], x[o + s6], x[o + s7]
        a, b, c, d, e, f, g, h = a + b, a - b, c + d, c - d, e + f, e - f, g + h, g - h
        a, b, c, d, e, f, g, h = a + c, b + d, a - c, b - d, e + g, f + h, e - g, f - h
        x[o], x[o + step], x[o + s2], x[o + s3] = a + e, b + f, c + g, d + h
        x[o + s4], x[o + s5], x[o + s6], x[o + s7] = a - e, b - f, c - g, d - h


@inlined
def coded_bits(residuals, bits_per_square, knee, bits):
    """About what it takes to code or to bear LANES residuals, which lie side by side, sample by sample:
    float32 [GRID * GRID * LANES], transformed in place; bits: float64 [LANES].

    A coefficient is worth its square times `bits_per_square`, but where that exceeds `knee` it will rather
    be coded, which takes bits as its logarithm.
    """
    _hadamard(residuals, 0, GRID * LANES, GRID * LANES)
    for row in range(GRID):
        _hadamard(residuals, row * GRID * LANES, LANES, LANES)
    scale = bits_per_square / (GRID * GRID * knee)
    products = np.empty(LANES)
    bits[:] = 0.0
    for start in range(0, GRID, 4):
        for lane in range(np.uint64(LANES)):
            product = 1.0  # of four columns, for one logarithm; no factor exceeds 1e7
            for i in range(np.uint64(start), np.uint64(start + 4)):
                for j in range(np.uint64(GRID)):
                    value = residuals[(j * np.uint64(GRID) + i) * np.uint64(LANES) + lane]
                    product *= 1.0 + np.float64(value * value) * scale
            products[lane] = product
        for lane in range(LANES):
            bits[lane] += knee * math.log(products[lane])


@inlined
def _put_residual(planes, current, row, column, x, y, lane, residuals):
    """Put what is left of a block that is moved by (x, y) into its lane, see `coded_bits`; False where it
    cannot be moved so far."""
    top, left = row * GRID + PAD + y // VECTOR_UNIT, column * GRID + PAD + x // VECTOR_UNIT
    if top < 0 or left < 0 or top + GRID > planes.shape[2] or left + GRID > planes.shape[3]:
        return False
    plane = planes[y % VECTOR_UNIT, x % VECTOR_UNIT]
    for j in range(GRID):
        there, its = plane[top + j], current[row * GRID + REACH + j]
        beside, here = np.uint64(left), np.uint64(column * GRID + REACH)
        place = np.uint64(j * GRID * LANES + lane)
        for i in range(np.uint64(GRID)):
            its_own = np.int32(there[beside + i]) - np.int32(its[here + i])
            residuals[place + i * np.uint64(LANES)] = np.float32(its_own)
    return True


@inlined
def _known_bits(candidates, ranks, bits, symbols, known):
    """Put the vectors that a block's symbol can name into `known`, with what its bits are then: bits [sizes],
    of the symbol; and return how many they are."""
    n = 0
    for k in range(len(candidates)):
        if ranks[k] >= 0:
            known[n, 0], known[n, 1] = candidates[k, 0], candidates[k, 1]
            known[n, 2] = bits[abs(symbols[ranks[k]])]
            n += 1
    return n


@inlined
def _later(field, is_coded, row, column, beside):
    """Put the vectors of the neighbours that are still to come into `beside`, and return their number."""
    rows, columns, _ = field.shape
    n = 0
    for side in range(4):
        r, c = row + (side == 0) - (side == 1), column + (side == 2) - (side == 3)
        if 0 <= r < rows and 0 <= c < columns and not is_coded[r, c]:
            beside[n, 0], beside[n, 1] = field[r, c, 0], field[r, c, 1]
            n += 1
    return n


@inlined
def _price(sizes, difference):
    """What a table has for a difference, the last for larger ones."""
    return sizes[np.uint64(min(abs(difference), len(sizes) - 1))]


@inlined
def _vector_cost(x, y, known, of_new, bits, mean, beside, prices):
    """What a vector takes: which known one it is, or that it is new and how it differs from the mean; and
    what it takes the neighbours still to come to differ from it."""
    total = of_new + _price(bits[0], x - mean[0]) + _price(bits[1], y - mean[1])
    for k in range(len(known)):
        if known[k, 0] == x and known[k, 1] == y:
            total = np.float32(known[k, 2])
            break
    later = 0.0
    for k in range(len(beside)):
        later += _price(prices, x - beside[k, 0]) + _price(prices, y - beside[k, 1])
    return total + later


@inlined
def _weigh(residuals, of_residuals, bits_per_square, knee, lanes, n_lanes, least, best):
    """Let the options in the lanes, of block `lanes[lane, 0]` the vector behind it, be the best where they
    cost least; those of a block are weighed in the order of the lanes."""
    their, costs, shares = lanes
    coded_bits(residuals, bits_per_square, knee, of_residuals)
    for lane in range(n_lanes):
        i, cost = their[lane, 0], costs[lane] + shares[lane] * of_residuals[lane]
        if cost < least[i]:
            least[i], best[i, 0], best[i, 1] = cost, their[lane, 1], their[lane, 2]


@kernel
def _decide(surroundings, tables, here, own, expected, bits_per_square, knee, best, start, end):
    planes, current, field, is_coded, prices, shares = surroundings
    bits, symbols = tables
    candidates, ranks, rows, means = expected
    residuals, of_residuals = np.zeros(GRID * GRID * LANES, np.float32), np.empty(LANES)
    lanes = np.empty((LANES, 3), np.int32), np.empty(LANES), np.empty(LANES, np.float32)
    their, costs, their_shares = lanes
    known, beside = np.empty((candidates.shape[1], 3)), np.empty((4, 2), np.int32)
    n_candidates = candidates.shape[1]
    least = np.full(len(here), np.inf)
    # First all blocks' own vectors, so that few of the others are worth a look.
    for first, last in ((0, 1), (1, n_candidates + 10)):
        n_lanes = 0
        for i in range(start, end):
            row, column = here[i] // field.shape[1], here[i] % field.shape[1]
            n_known = _known_bits(candidates[i], ranks[i], bits[rows[i, 0]], symbols, known)
            n_later = _later(field, is_coded, row, column, beside)
            of_new, of_vector = bits[rows[i, 0], abs(symbols[-1])], (bits[rows[i, 1]], bits[rows[i, 2]])
            for option in range(first, last):
                x, y = own[i]
                if 0 < option <= n_candidates:
                    x, y = candidates[i, option - 1]
                elif option:
                    place = option - n_candidates - 1
                    x, y = x + place // 3 - 1, y + place % 3 - 1
                cost = np.float64(
                    _vector_cost(x, y, known[:n_known], of_new, of_vector, means[i], beside[:n_later], prices)
                )
                if cost < least[i] and _put_residual(planes, current, row, column, x, y, n_lanes, residuals):
                    their[n_lanes, 0], their[n_lanes, 1], their[n_lanes, 2] = i, x, y
                    costs[n_lanes], their_shares[n_lanes] = cost, shares[row, column]
                    n_lanes += 1
                if n_lanes == LANES:
                    _weigh(residuals, of_residuals, bits_per_square, knee, lanes, n_lanes, least, best)
                    n_lanes = 0
        _weigh(residuals, of_residuals, bits_per_square, knee, lanes, n_lanes, least, best)


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
