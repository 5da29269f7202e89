"""What the encoder weighs when it looks at a golden picture. Nothing a decoder computes."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from nvc.kernels.compile import inlined, kernel
from nvc.kernels.decision import LANES, coded_bits
from nvc.kernels.search import PAD, REACH
from nvc.kernels.team import spread
from nvc.models.golden import SUPERBLOCK
from nvc.models.warp import GRID, VECTOR_UNIT

Ints = npt.NDArray[np.int32]
Doubles = npt.NDArray[np.float64]

_ZERO, _HALF = np.float32(0), np.float32(0.5)
_WORK = 100_000  # of a superblock, see `spread`


@inlined
def _take(planes, row, column, x, y, out):
    """A block of the picture that is moved by (x, y) quarters; beyond the padding what is nearest."""
    top, left = row * GRID + PAD + y // VECTOR_UNIT, column * GRID + PAD + x // VECTOR_UNIT
    top, left = min(max(top, 0), planes.shape[2] - GRID), min(max(left, 0), planes.shape[3] - GRID)
    plane = planes[y % VECTOR_UNIT, x % VECTOR_UNIT]
    for j in range(GRID):
        for i in range(GRID):
            out[j, i] = np.float32(plane[top + j, left + i])


@inlined
def _add(prediction, own, kind, out):
    """What a block of a prediction is with the block `own`, as golden.Kind has it."""
    for j in range(GRID):
        for i in range(GRID):
            there = prediction[j, i]
            out[j, i] = there if kind == 0 else (there + own[j, i]) * _HALF if kind == 1 else own[j, i]


@inlined
def _is_known(vectors, x, y):
    found = False
    for k in range(len(vectors)):
        found = found or (vectors[k, 0] == x and vectors[k, 1] == y)
    return found


@inlined
def _put(plane, top, left, lane, out):
    """Put the block that begins there in a plane where its lane has it, see `coded_bits`."""
    for j in range(GRID):
        samples, first = plane[top + j], np.uint64(left)
        place = np.uint64(j * GRID * LANES + lane)
        for i in range(np.uint64(GRID)):
            out[place + i * np.uint64(LANES)] = np.float32(samples[first + i])


@inlined
def _cost(said, prediction, current, weights, residuals, bits):
    """What a superblock's symbols and its residual count."""
    per_square, knee, weight = weights
    for i in range(np.uint64(len(residuals))):
        residuals[i] = prediction[i] - current[i]
    coded_bits(residuals, per_square, knee, bits)
    total = np.float64(said)
    for lane in range(LANES):
        total += weight * bits[lane]
    return total


@kernel
def _choose(pictures, options, tables, weights, kinds, chosen, said, costs, prediction, start, end):
    golden, current, so_far = pictures
    kind_bits, vector_bits = tables
    rows, columns = so_far.shape[0] // GRID, so_far.shape[1] // GRID
    furthest = len(vector_bits) - 1
    block, lane_bits = np.empty((GRID, GRID), np.float32), np.empty(LANES)
    # Of a superblock's blocks, side by side; those beyond the picture's edge stay zero.
    n = GRID * GRID * LANES
    source, before, own = np.empty(n, np.float32), np.empty(n, np.float32), np.empty(n, np.float32)
    both, residuals = np.empty(n, np.float32), np.empty(n, np.float32)
    for row in range(start, end):
        upper, bottom = row * SUPERBLOCK, min((row + 1) * SUPERBLOCK, rows)
        for column in range(kinds.shape[1]):
            left, right = column * SUPERBLOCK, min((column + 1) * SUPERBLOCK, columns)
            source[:], before[:], own[:] = _ZERO, _ZERO, _ZERO
            for r in range(upper, bottom):
                for c in range(left, right):
                    lane = (r - upper) * SUPERBLOCK + c - left
                    _put(current, r * GRID + REACH, c * GRID + REACH, lane, source)
                    _put(so_far, r * GRID, c * GRID, lane, before)
            silent = np.float64(kind_bits[row, column, 0])
            said[row, column] = silent
            least = _cost(silent, before, source, weights, residuals, lane_bits)
            expected_x, expected_y = options[0, row, column]
            for option in range(len(options)):
                x, y = options[option, row, column]
                bits = np.float64(kind_bits[row, column, 2])
                if x != expected_x or y != expected_y:
                    bits = np.float64(kind_bits[row, column, 1])
                    bits += vector_bits[min(abs(x - expected_x), furthest)]
                    bits += vector_bits[min(abs(y - expected_y), furthest)]
                if bits >= least or _is_known(options[:option, row, column], x, y):
                    continue
                down, across = PAD + y // VECTOR_UNIT, PAD + x // VECTOR_UNIT
                if upper * GRID + down < 0 or bottom * GRID + down > golden.shape[2]:
                    continue
                if left * GRID + across < 0 or right * GRID + across > golden.shape[3]:
                    continue
                plane = golden[y % VECTOR_UNIT, x % VECTOR_UNIT]
                for r in range(upper, bottom):
                    for c in range(left, right):
                        lane = (r - upper) * SUPERBLOCK + c - left
                        _put(plane, r * GRID + down, c * GRID + across, lane, own)
                for i in range(np.uint64(n)):
                    both[i] = (before[i] + own[i]) * _HALF
                by_golden = _cost(bits, own, source, weights, residuals, lane_bits)
                by_both = _cost(bits, both, source, weights, residuals, lane_bits)
                if min(by_both, by_golden) < least:
                    least, said[row, column] = min(by_both, by_golden), bits
                    kinds[row, column] = 1 if by_both < by_golden else 2
                    chosen[row, column, 0], chosen[row, column, 1] = x, y
            costs[row, column] = least
            x, y = chosen[row, column]
            for r in range(upper, bottom):
                for c in range(left, right):
                    _take(golden, r, c, x, y, block)
                    top, beside = r * GRID, c * GRID
                    there = so_far[top : top + GRID, beside : beside + GRID]
                    moved = prediction[top : top + GRID, beside : beside + GRID]
                    _add(there, block, kinds[row, column], moved)


def choose(
    pictures: tuple[npt.NDArray[Any], ...],
    options: Ints,
    tables: tuple[npt.NDArray[np.float32], ...],
    weights: tuple[float, float, float],
) -> tuple[npt.NDArray[np.int64], Ints, Doubles, Doubles, npt.NDArray[np.float32]]:
    """The cheapest kinds [rows, columns] of superblocks, as golden.Kind has them, and their vectors [.., 2].

    pictures: shifted planes of the golden picture, the padded current one, and what is predicted so far,
    float32 [h, w]. options: [n, rows, columns, 2] vectors into the golden picture, the expected first.
    tables: bits of symbols of size 0 to 2 [rows, columns, 3]; of a component of a new vector by its
    difference. weights: what a squared error is worth in bits; where coefficients are better coded (see
    decision.py); what a bit of the residual is worth. Returned, too, are the bits of each superblock's
    symbols, its cost with them, both [rows, columns], and what is predicted now [h, w].
    """
    _, rows, columns, _ = options.shape
    kinds, chosen = np.zeros((rows, columns), np.int64), options[0].copy()
    said, costs, prediction = np.empty((rows, columns)), np.empty((rows, columns)), np.empty_like(pictures[2])
    out = kinds, chosen, said, costs, prediction
    run: Any = partial(_choose, pictures, options, tables, weights, *out)
    spread(run, rows, rows * columns * _WORK)
    return out


@kernel
def _take_blocks(planes, vectors, out, start, end):
    for row in range(start, end):
        for column in range(vectors.shape[1]):
            x, y = vectors[row, column]
            top, left = row * GRID, column * GRID
            _take(planes, row, column, x, y, out[top : top + GRID, left : left + GRID])


def take_blocks(planes: npt.NDArray[np.uint8], vectors: Ints) -> npt.NDArray[np.float32]:
    """Luma [h, w] of blocks as their vectors [h/8, w/8, 2] have them in shifted planes, not blended."""
    rows, columns, _ = vectors.shape
    out = np.empty((rows * GRID, columns * GRID), np.float32)
    spread(partial(_take_blocks, planes, vectors, out), rows, out.size)
    return out
