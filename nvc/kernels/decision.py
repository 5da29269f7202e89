"""What the encoder's last word on vectors weighs against their bits. Nothing a decoder computes."""

from __future__ import annotations

import math

import numpy as np

from nvc.kernels.compile import inlined, kernel
from nvc.kernels.search import PAD, REACH
from nvc.models.warp import GRID, VECTOR_UNIT

_TOO_DEAR = 1e9


@inlined
def _hadamard(block):
    """The two-dimensional Hadamard transform of a block, in place; GRID times the orthonormal one."""
    for i in range(GRID):
        half = 1
        while half < GRID:
            for j in range(GRID):
                if not j & half:
                    a, b = block[i, j], block[i, j + half]
                    block[i, j], block[i, j + half] = a + b, a - b
            half *= 2
    for i in range(GRID):
        half = 1
        while half < GRID:
            for j in range(GRID):
                if not j & half:
                    a, b = block[j, i], block[j + half, i]
                    block[j, i], block[j + half, i] = a + b, a - b
            half *= 2


@inlined
def _residual_bits(planes, current, row, column, x, y, bits_per_square, knee, block):
    """About what it takes to code or to bear the residual of a block that is moved by (x, y)."""
    top, left = row * GRID + PAD + y // VECTOR_UNIT, column * GRID + PAD + x // VECTOR_UNIT
    if top < 0 or left < 0 or top + GRID > planes.shape[2] or left + GRID > planes.shape[3]:
        return _TOO_DEAR
    plane = planes[y % VECTOR_UNIT, x % VECTOR_UNIT]
    for j in range(GRID):
        for i in range(GRID):
            its = current[row * GRID + REACH + j, column * GRID + REACH + i]
            block[j, i] = np.float32(plane[top + j, left + i]) - np.float32(its)
    _hadamard(block)
    scale = bits_per_square / (GRID * GRID * knee)
    total = 0.0
    for j in range(GRID):
        for i in range(GRID):
            total += math.log1p(block[j, i] * block[j, i] * scale)
    return knee * total


@kernel
def weigh(planes, current, field, is_coded, here, options, prices, bits_per_square, knee):
    """What each of some vectors costs each of some blocks, in bits, beside its own: float64 [n, k].

    planes, current: as for `search_blocks`. field: int32 [rows, columns, 2], the vectors that were found;
    is_coded: bool [rows, columns], which blocks are past. here: int64 [n], places in the flattened grid;
    options: int32 [n, k, 2]. prices: what a component costs a neighbour still to come that differs from it.
    A residual's coefficient is worth its square times `bits_per_square`, but where that exceeds `knee` it
    will rather be coded, which takes bits as its logarithm.
    """
    rows, columns, _ = field.shape
    n, k, _ = options.shape
    block = np.empty((GRID, GRID), np.float32)
    costs = np.empty((n, k))
    last = len(prices) - 1
    for i in range(n):
        row, column = here[i] // columns, here[i] % columns
        for j in range(k):
            x, y = options[i, j]
            cost = _residual_bits(planes, current, row, column, x, y, bits_per_square, knee, block)
            for side in range(4):
                beside = row + (side == 0) - (side == 1), column + (side == 2) - (side == 3)
                if 0 <= beside[0] < rows and 0 <= beside[1] < columns and not is_coded[beside]:
                    to_x, to_y = abs(x - field[beside][0]), abs(y - field[beside][1])
                    cost += prices[min(to_x, last)] + prices[min(to_y, last)]
            costs[i, j] = cost
    return costs
