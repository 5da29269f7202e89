"""Motion compensation in one pass: upsampled vectors, positions, filters and sums of each sample at once."""

from __future__ import annotations

from functools import partial

import numpy as np

from nvc.kernels.compile import inlined, kernel, spread
from nvc.kernels.networks import TO_INTEGER, Floats

_ONE = np.float32(1)
_HALF = np.float32(0.5)
_SIXTEENTH = np.float32(1 / 16)


@inlined
def _between(near, far, share, factor):
    """Linear interpolation in units of 1 / (2 * factor), as `warp._upsample_axis` orders it."""
    return near * np.float32(2 * factor - share) + far * np.float32(share)


@inlined
def _neighbour(index, offset, n):
    return max(index - 1, 0) if offset < 0 else min(index + 1, n - 1)


@kernel
def _warp_plane(plane, vectors, factor, vector_scale, filters, out, first, last):
    height, width = plane.shape
    n_rows, n_columns, _ = vectors.shape
    line = np.empty((n_columns, 2), np.float32)
    place_x, place_y = np.empty(width, np.int64), np.empty(width, np.int64)
    unit, scale = np.float32(1 / (4 * factor * factor)), np.float32(vector_scale)
    sample_scale = np.float32(1 / 128**2)
    for y in range(first, last):
        cell = y // factor
        offset = 2 * (y % factor) + 1 - factor
        other = _neighbour(cell, offset, n_rows)
        for i in range(n_columns):
            for k in range(2):
                line[i, k] = _between(vectors[cell, i, k], vectors[other, i, k], abs(offset), factor)
        for cell_x in range(n_columns):
            for phase in range(factor):
                shift = 2 * phase + 1 - factor
                other_x = _neighbour(cell_x, shift, n_columns)
                x = cell_x * factor + phase
                for k in range(2):
                    v = _between(line[cell_x, k], line[other_x, k], abs(shift), factor) * unit
                    v = ((v + TO_INTEGER) - TO_INTEGER) * scale
                    v = (v + TO_INTEGER) - TO_INTEGER
                    if k == 0:
                        place_x[x] = np.int64(v) + 16 * x
                    else:
                        place_y[x] = np.int64(v) + 16 * y
        for x in range(width):
            left, top = (place_x[x] >> 4) - 1, (place_y[x] >> 4) - 1
            across, down = place_x[x] & 15, place_y[x] & 15
            total = np.float32(0)
            if left >= 0 and top >= 0 and left + 4 <= width and top + 4 <= height:
                for j in range(4):
                    part = np.float32(0)
                    for i in range(4):
                        part = part + plane[top + j, left + i] * filters[across, i]
                    total = total + part * filters[down, j]
            else:
                for j in range(4):
                    part = np.float32(0)
                    row = min(max(top + j, 0), height - 1)
                    for i in range(4):
                        part = part + plane[row, min(max(left + i, 0), width - 1)] * filters[across, i]
                    total = total + part * filters[down, j]
            out[y, x] = total * sample_scale


def warp_plane(plane: Floats, vectors: Floats, factor: int, vector_scale: float, filters: Floats) -> Floats:
    """Warp a plane [h, w] by integer vectors [h / factor, w / factor, 2] in units of 1 / 16 sample.

    Vectors are upsampled by `factor`, rounded, multiplied by `vector_scale` and rounded again.
    """
    out = np.empty_like(plane)
    vectors = np.ascontiguousarray(vectors)
    run = partial(_warp_plane, np.ascontiguousarray(plane), vectors, factor, vector_scale, filters, out)
    spread(run, plane.shape[0], 64 * plane.size)
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
