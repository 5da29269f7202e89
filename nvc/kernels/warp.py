"""Motion compensation: each block filtered in one go, then blended with its neighbours."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from nvc.kernels.compile import inlined, kernel
from nvc.kernels.networks import Floats
from nvc.kernels.team import spread
from nvc.models.warp import own_share

_ONE, _HALF = np.float32(1), np.float32(0.5)
_SIXTEENTH = np.float32(1 / 16)


@inlined
def _move_block(plane, right, down, row, column, block, unit, filters, lines, out):
    """A block as its vector has it, a quarter of a side beyond its edges: out [side, side]."""
    height, width = plane.shape
    reach = block // 4
    side = block + 2 * reach
    phases = len(filters) // unit
    limit = max(height, width) + side
    sample_scale = np.float32(1 / 128**2)
    step_x, step_y = right // unit, down // unit
    across, along = (right - step_x * unit) * phases, (down - step_y * unit) * phases
    left = column * block + min(max(step_x, -limit), limit) - reach - 1
    top = row * block + min(max(step_y, -limit), limit) - reach - 1
    a, b, c, d = filters[across, 0], filters[across, 1], filters[across, 2], filters[across, 3]
    if left >= 0 and top >= 0 and left + side + 3 <= width and top + side + 3 <= height:
        for j in range(side + 3):
            source = plane[top + j, left : left + side + 3]
            for i in range(side):
                lines[j, i] = source[i] * a + source[i + 1] * b + source[i + 2] * c + source[i + 3] * d
    else:
        for j in range(side + 3):
            source = plane[min(max(top + j, 0), height - 1)]
            for i in range(side):
                x0, x1 = min(max(left + i, 0), width - 1), min(max(left + i + 1, 0), width - 1)
                x2, x3 = min(max(left + i + 2, 0), width - 1), min(max(left + i + 3, 0), width - 1)
                lines[j, i] = source[x0] * a + source[x1] * b + source[x2] * c + source[x3] * d
    a, b, c, d = filters[along, 0], filters[along, 1], filters[along, 2], filters[along, 3]
    for j in range(side):
        for i in range(side):
            total = lines[j, i] * a + lines[j + 1, i] * b + lines[j + 2, i] * c + lines[j + 3, i] * d
            out[j, i] = total * sample_scale


@kernel
def _move_blocks(plane, vectors, block, unit, filters, out, first, last):
    """Blocks as their vectors have them: out [rows, columns, side, side]."""
    lines = np.empty((out.shape[2] + 3, out.shape[2]), np.float32)
    for row in range(first, last):
        for column in range(vectors.shape[1]):
            x, y = np.int64(vectors[row, column, 0]), np.int64(vectors[row, column, 1])
            _move_block(plane, x, y, row, column, block, unit, filters, lines, out[row, column])


@kernel
def _add_golden(plane, vectors, kinds, block, unit, filters, out, first, last):
    """Where `kinds` is 1 the mean of what is there and of these blocks, where it is 2 these alone."""
    side = out.shape[2]
    lines, own = np.empty((side + 3, side), np.float32), np.empty((side, side), np.float32)
    for row in range(first, last):
        for column in range(vectors.shape[1]):
            if not kinds[row, column]:
                continue
            x, y = np.int64(vectors[row, column, 0]), np.int64(vectors[row, column, 1])
            _move_block(plane, x, y, row, column, block, unit, filters, lines, own)
            there = out[row, column]
            for j in range(side):
                for i in range(side):
                    both = (there[j, i] + own[j, i]) * _HALF
                    there[j, i] = both if kinds[row, column] == 1 else own[j, i]


@inlined
def _blend_across(blocks, row, j, shares, line):
    """Line j of a row of blocks, each blended with those left and right of it; at the picture's edges with
    itself, which may round as well: line [columns * block]."""
    columns, n = blocks.shape[1], np.uint64(len(shares))
    block, one = np.uint64(len(line) // columns), np.uint64(1)
    for column in range(columns + 1):
        x = np.uint64(column) * block
        right = blocks[row, min(column, columns - 1), j]
        left = blocks[row, max(column - 1, 0), j]
        if column < columns:
            for i in range(block):
                line[x + i] = right[n + i]
        for i in range(n):
            own, other = shares[i], _ONE - shares[i]
            after, before = n + i, n + block - one - i  # the first samples of `right`, the last of `left`
            if column < columns:
                beside = left[block + n + i] if column else right[after]
                line[x + i] = right[after] * own + beside * other
            if column:
                beside = right[n - one - i] if column < columns else left[before]
                line[x - one - i] = left[before] * own + beside * other


@kernel
def _blend_blocks(blocks, block, shares, out, first, last):
    rows, columns, _, _ = blocks.shape
    reach = len(shares)
    line, other = np.empty(columns * block, np.float32), np.empty(columns * block, np.float32)
    for row in range(first, last):
        for j in range(block):
            target = out[row * block + j]
            _blend_across(blocks, row, j + reach, shares, line)
            near = min(j, block - 1 - j)
            if near >= reach:
                target[:] = line
                continue
            if 2 * j < block:
                beside, place = row - 1, block + reach + j
            else:
                beside, place = row + 1, j + reach - block
            if 0 <= beside < rows:
                _blend_across(blocks, beside, place, shares, other)
            else:
                other[:] = line
            share = shares[near]
            for x in range(np.uint64(len(line))):
                target[x] = line[x] * share + other[x] * (_ONE - share)


def warp_plane(
    plane: Floats,
    vectors: Floats,
    *goldens: npt.NDArray[Any],
    block: int,
    unit: int,
    filters: Floats,
) -> Floats:
    """Move the blocks of a plane [h, w] by integer vectors [h / block, w / block, 2], `unit` a sample.

    goldens: of each golden picture in turn a plane that blocks take as well (kind 1) or instead (kind 2), its
    own vectors, and the kinds, int64 [h / block, w / block].
    """
    rows, columns, _ = vectors.shape
    reach = block // 4
    side = block + 2 * reach
    moved = np.empty((rows, columns, side, side), np.float32)
    plane, vectors = np.ascontiguousarray(plane), np.ascontiguousarray(vectors)
    spread(partial(_move_blocks, plane, vectors, block, unit, filters, moved), rows, 20 * plane.size)
    for i in range(0, len(goldens), 3):
        its = map(np.ascontiguousarray, goldens[i : i + 3])
        spread(partial(_add_golden, *its, block, unit, filters, moved), rows, 20 * plane.size)
    out = np.empty_like(plane)
    shares = np.array([own_share(i, reach) for i in range(reach)], np.float32)
    spread(partial(_blend_blocks, moved, block, shares, out), rows, 4 * plane.size)
    return out


@kernel
def _warp_features(features, vectors, out, first, last):
    height, width, n = features.shape
    for y in range(first, last):
        for x in range(width):
            right, down = np.int64(vectors[y, x, 0]), np.int64(vectors[y, x, 1])
            fx, fy = np.float32(right & 15) * _SIXTEENTH, np.float32(down & 15) * _SIXTEENTH
            gx, gy = _ONE - fx, _ONE - fy
            left, top = x + (right >> 4), y + (down >> 4)
            x0, x1 = min(max(left, 0), width - 1), min(max(left + 1, 0), width - 1)
            y0, y1 = min(max(top, 0), height - 1), min(max(top + 1, 0), height - 1)
            for c in range(n):
                upper = features[y0, x0, c] * gx + features[y0, x1, c] * fx
                lower = features[y1, x0, c] * gx + features[y1, x1, c] * fx
                out[y, x, c] = upper * gy + lower * fy


def warp_features(features: Floats, vectors: Floats) -> Floats:
    """Sample features [h, w, c] bilinearly at integer vectors [h, w, 2] in 1 / 16 of their grid."""
    features = np.ascontiguousarray(features)
    out = np.empty_like(features)
    run = partial(_warp_features, features, np.ascontiguousarray(vectors), out)
    spread(run, features.shape[0], 4 * features.size)
    return out
