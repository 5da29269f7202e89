"""What the encoder weighs between the last and the golden picture. Nothing a decoder computes."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from nvc.kernels.compile import inlined, kernel, spread
from nvc.kernels.decision import coded_bits
from nvc.kernels.search import PAD, REACH
from nvc.models.golden import SUPERBLOCK
from nvc.models.warp import GRID, VECTOR_UNIT

Ints = npt.NDArray[np.int32]

_HALF = np.float32(0.5)
_WORK = 100_000  # of a superblock, see `spread`


@inlined
def _is_inside(planes, row, column, x, y):
    top, left = row * GRID + PAD + y // VECTOR_UNIT, column * GRID + PAD + x // VECTOR_UNIT
    return 0 <= top <= planes.shape[2] - GRID and 0 <= left <= planes.shape[3] - GRID


@inlined
def _take(planes, row, column, x, y, out):
    """A block of the picture that is moved by (x, y) quarters."""
    top, left = row * GRID + PAD + y // VECTOR_UNIT, column * GRID + PAD + x // VECTOR_UNIT
    plane = planes[y % VECTOR_UNIT, x % VECTOR_UNIT]
    for j in range(GRID):
        for i in range(GRID):
            out[j, i] = np.float32(plane[top + j, left + i])


@inlined
def _residual_bits(current, row, column, prediction, bits_per_square, knee, block):
    for j in range(GRID):
        for i in range(GRID):
            its = current[row * GRID + REACH + j, column * GRID + REACH + i]
            block[j, i] = prediction[j, i] - np.float32(its)
    return coded_bits(block, bits_per_square, knee, np.inf)


@kernel
def _choose(pictures, own, options, tables, weights, kinds, chosen, start, end):
    last, golden, current = pictures
    kind_bits, vector_bits = tables
    bits_per_square, knee, weight = weights
    rows, columns, _ = own.shape
    furthest = len(vector_bits) - 1
    of_last, of_golden = np.empty((GRID, GRID), np.float32), np.empty((GRID, GRID), np.float32)
    block = np.empty((GRID, GRID), np.float32)
    for row in range(start, end):
        bottom = min((row + 1) * SUPERBLOCK, rows)
        for column in range(kinds.shape[1]):
            right = min((column + 1) * SUPERBLOCK, columns)
            least = np.inf
            expected_x, expected_y = options[0, row, column]
            for option in range(len(options)):
                x, y = options[option, row, column]
                bits = kind_bits[row, column, 2]
                if x != expected_x or y != expected_y:
                    bits = kind_bits[row, column, 1]
                    bits += vector_bits[min(abs(x - expected_x), furthest)]
                    bits += vector_bits[min(abs(y - expected_y), furthest)]
                by_last, by_both, by_golden = kind_bits[row, column, 0], bits, bits
                is_inside = True
                for r in range(row * SUPERBLOCK, bottom):
                    for c in range(column * SUPERBLOCK, right):
                        own_x, own_y = own[r, c]
                        is_inside = is_inside and _is_inside(last, r, c, own_x, own_y)
                        is_inside = is_inside and _is_inside(golden, r, c, x, y)
                        if not is_inside or min(by_both, by_golden) >= least:
                            continue
                        _take(last, r, c, own_x, own_y, of_last)
                        _take(golden, r, c, x, y, of_golden)
                        here = current, r, c
                        if not option:
                            by_last += weight * _residual_bits(*here, of_last, bits_per_square, knee, block)
                        by_golden += weight * _residual_bits(*here, of_golden, bits_per_square, knee, block)
                        for j in range(GRID):
                            for i in range(GRID):
                                of_golden[j, i] = (of_last[j, i] + of_golden[j, i]) * _HALF
                        by_both += weight * _residual_bits(*here, of_golden, bits_per_square, knee, block)
                if not is_inside:
                    continue
                if not option:
                    least, kinds[row, column] = by_last, 0
                if by_both < least:
                    least, kinds[row, column] = by_both, 1
                    chosen[row, column, 0], chosen[row, column, 1] = x, y
                if by_golden < least:
                    least, kinds[row, column] = by_golden, 2
                    chosen[row, column, 0], chosen[row, column, 1] = x, y


def choose(
    pictures: tuple[npt.NDArray[np.uint8], ...],
    own: Ints,
    options: Ints,
    tables: tuple[npt.NDArray[np.float32], ...],
    weights: tuple[float, float, float],
) -> tuple[npt.NDArray[np.int64], Ints]:
    """The cheapest kinds [rows, columns] of superblocks, as golden.Kind has them, and their vectors [.., 2].

    pictures: shifted planes of the last and of the golden picture, and the padded current one. own: vectors
    of blocks into the last. options: [n, rows, columns, 2] vectors into the golden one, the expected first.
    tables: bits of symbols of size 0, 1 and 2 [rows, columns, 3]; of a component of a new vector by its
    difference. weights: what a squared error is worth in bits; where coefficients are better coded (see
    decision.py); what a bit of the residual is worth.
    """
    _, rows, columns, _ = options.shape
    kinds, chosen = np.zeros((rows, columns), np.int64), options[0].copy()
    run: Any = partial(_choose, pictures, own, options, tables, weights, kinds, chosen)
    spread(run, rows, rows * columns * _WORK)
    return kinds, chosen
