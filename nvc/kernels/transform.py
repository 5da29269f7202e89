"""The lapped transform, line by line instead of matrix by matrix; sums in float64, where they are exact."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from nvc.kernels.compile import inlined, kernel
from nvc.kernels.networks import Floats
from nvc.kernels.team import spread

Doubles = npt.NDArray[np.float64]

_LINES = 32  # worked on side by side
_TO_INTEGER = 1.5 * 2.0**52  # as `networks.TO_INTEGER`, for float64
_UNIT, _PER_UNIT = 1 / 64, 64.0


@inlined
def rounded(x):
    return ((x * _PER_UNIT + _TO_INTEGER) - _TO_INTEGER) * _UNIT


@inlined
def _multiply(lines, start, matrix, scratch):
    """Multiply the samples from `start` on, as many as the matrix has rows, by it, and round them."""
    n = matrix.shape[0]
    for i in range(n):
        for line in range(_LINES):
            scratch[i, line] = 0.0
        for k in range(0, n, 2):
            a, b = matrix[i, k], matrix[i, k + 1]
            for line in range(_LINES):
                partial = scratch[i, line] + a * lines[start + k, line]
                scratch[i, line] = partial + b * lines[start + k + 1, line]
    for i in range(n):
        for line in range(_LINES):
            lines[start + i, line] = rounded(scratch[i, line])


@inlined
def _overlap(lines, n_samples, size, window, scratch):
    """Filter across boundaries; what lies between is only rounded, the ends of the line not even that."""
    half, quarter = size // 2, size // 4
    for start in range(quarter, n_samples - size + quarter, size):
        for i in range(start, start + half):
            for line in range(_LINES):
                lines[i, line] = rounded(lines[i, line])
        _multiply(lines, start + half, window, scratch)


@kernel
def _transform_lines(x, size, dct, window, is_inverse, out, first, last):
    n_samples = x.shape[1]
    lines = np.zeros((n_samples, _LINES))
    scratch = np.empty((size, _LINES))
    for start in range(first, last, _LINES):
        n = min(_LINES, last - start)
        for line in range(n):
            for i in range(n_samples):
                lines[i, line] = rounded(np.float64(x[start + line, i]))
        if not is_inverse:
            _overlap(lines, n_samples, size, window, scratch)
        for block in range(0, n_samples, size):
            _multiply(lines, block, dct, scratch)
        if is_inverse:
            _overlap(lines, n_samples, size, window, scratch)
        for i in range(n_samples):
            for line in range(n):
                out[i, start + line] = lines[i, line]


@kernel
def _gather(x, size, order, out, first, last):
    for row in range(first, last):
        for column in range(out.shape[1]):
            for i in range(size * size):
                y, z = order[i] // size, order[i] % size
                out[row, column, i] = x[row * size + y, column * size + z]


@kernel
def _scatter(coefficients, size, order, x, first, last):
    for row in range(first, last):
        for column in range(coefficients.shape[1]):
            for i in range(size * size):
                y, z = order[i] // size, order[i] % size
                x[row * size + y, column * size + z] = rounded(np.float64(coefficients[row, column, i]))


@dataclass(frozen=True)
class Matrices:
    """What a transform needs: dct [size, size], the filter across a boundary [size/2, size/2], and each
    coefficient's place in a block, row * size + column."""

    dct: Doubles
    window: Doubles
    order: npt.NDArray[np.int64]

    @property
    def size(self) -> int:
        return len(self.dct)


def _both_axes(x: npt.NDArray[Any], matrices: Matrices, *, is_inverse: bool) -> Doubles:
    dct, window = matrices.dct, matrices.window
    if is_inverse:
        dct, window = np.ascontiguousarray(dct.T), np.ascontiguousarray(window.T)
    for _ in range(2):
        out = np.empty((x.shape[1], x.shape[0]))
        run = partial(_transform_lines, x, matrices.size, dct, window, is_inverse, out)
        spread(run, x.shape[0], 2 * x.size * matrices.size)
        x = out
    return out


def forward(plane: Floats, matrices: Matrices) -> Floats:
    """[h, w] -> [h / size, w / size, size**2]."""
    x = _both_axes(np.ascontiguousarray(plane), matrices, is_inverse=False)
    size = matrices.size
    out = np.empty((x.shape[0] // size, x.shape[1] // size, size * size), np.float32)
    _gather(x, size, matrices.order, out, 0, out.shape[0])
    return out


def inverse(coefficients: Floats, matrices: Matrices) -> Floats:
    """Undo `forward`."""
    h, w, _ = coefficients.shape
    x = np.empty((h * matrices.size, w * matrices.size))
    _scatter(np.ascontiguousarray(coefficients), matrices.size, matrices.order, x, 0, h)
    return _both_axes(x, matrices, is_inverse=True).astype(np.float32)
