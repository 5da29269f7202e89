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
UNIT, PER_UNIT = 1 / 64, 64.0


@inlined
def whole(x):
    return (x + _TO_INTEGER) - _TO_INTEGER


@inlined
def rounded(x):
    return whole(x * PER_UNIT) * UNIT


@inlined
def _multiply(halves, start, matrix, products):
    """Multiply the samples from `start` on, as many as the matrix has rows, by it."""
    n = matrix.shape[0]
    for i in range(start, start + n):
        for line in range(_LINES):
            products[i, line] = 0.0
        for k in range(0, n, 2):
            a, b = matrix[i - start, k], matrix[i - start, k + 1]
            for line in range(_LINES):
                partial = products[i, line] + a * halves[start + k, line]
                products[i, line] = partial + b * halves[start + k + 1, line]


@inlined
def _apply(lines, start, matrices, is_split, is_joined, scratch):
    """Multiply samples by a matrix that treats mirrored ones alike, in two halves; see `Halves`."""
    even, odd = matrices
    halves, products = scratch
    half = even.shape[0]
    end = start + 2 * half - 1
    for k in range(half):
        for line in range(_LINES):
            if is_split:
                a, b = lines[start + k, line], lines[end - k, line]
                halves[k, line], halves[half + k, line] = a + b, a - b
            else:
                halves[k, line] = lines[start + 2 * k, line]
                halves[half + k, line] = lines[start + 2 * k + 1, line]
    _multiply(halves, 0, even, products)
    _multiply(halves, half, odd, products)
    for i in range(half):
        for line in range(_LINES):
            a, b = products[i, line], products[half + i, line]
            if is_joined:
                lines[start + i, line], lines[end - i, line] = whole(a + b), whole(a - b)
            else:
                lines[start + 2 * i, line], lines[start + 2 * i + 1, line] = whole(a), whole(b)


@inlined
def _overlap(lines, n_samples, size, window, scratch):
    """Filter across boundaries; what lies between stays."""
    half, quarter = size // 2, size // 4
    for start in range(quarter + half, n_samples - half, size):
        _apply(lines, start, window, True, True, scratch)


@kernel
def _transform_lines(x, size, dct, window, is_inverse, out, first, last):
    """Lines are worked on in units of 1 / PER_UNIT, so that rounding them is rounding to integers."""
    n_samples = x.shape[1]
    lines = np.zeros((n_samples, _LINES))
    scratch = np.empty((size, _LINES)), np.empty((size, _LINES))
    for start in range(first, last, _LINES):
        n = min(_LINES, last - start)
        for line in range(n):
            for i in range(n_samples):
                lines[i, line] = whole(np.float64(x[start + line, i]) * PER_UNIT)
        if not is_inverse:
            _overlap(lines, n_samples, size, window, scratch)
        for block in range(0, n_samples, size):
            _apply(lines, block, dct, not is_inverse, is_inverse, scratch)
        if is_inverse:
            _overlap(lines, n_samples, size, window, scratch)
        for i in range(n_samples):
            for line in range(n):
                out[i, start + line] = lines[i, line] * UNIT


@kernel
def _gather(x, size, places, out, first, last):
    down, right = places
    for row in range(first, last):
        for column in range(out.shape[1]):
            for i in range(size * size):
                out[row, column, i] = x[row * size + down[i], column * size + right[i]]


@kernel
def _scatter(coefficients, size, places, x, first, last):
    down, right = places
    for row in range(first, last):
        for column in range(coefficients.shape[1]):
            for i in range(size * size):
                x[row * size + down[i], column * size + right[i]] = coefficients[row, column, i]


Halves = tuple[Doubles, Doubles]
"""A matrix whose rows are each symmetrical or antisymmetrical, as two of half its size: one for the sums of
mirrored samples, one for their differences. That halves the products."""


@dataclass(frozen=True)
class Matrices:
    """What a transform needs: the dct of `size` samples and its inverse, the filter of size/2 across a
    boundary and its inverse, and each coefficient's row and column in a block."""

    size: int
    dct: Halves
    dct_inverse: Halves
    window: Halves
    window_inverse: Halves
    places: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]

    @classmethod
    def of(cls, dct: Doubles, window: Doubles, order: npt.NDArray[np.int64]) -> Matrices:
        """dct: [size, size], rows by frequency; window: [size/2, size/2], the same seen from either end;
        order: places in a block, row * size + column."""
        half = len(dct) // 2
        even, odd = (np.ascontiguousarray(dct[parity::2, :half]) for parity in (0, 1))
        inverses = np.ascontiguousarray(even.T), np.ascontiguousarray(odd.T)
        return cls(
            len(dct), (even, odd), inverses, _halves(window), _halves(window.T), np.divmod(order, len(dct))
        )


def _halves(window: Doubles) -> Halves:
    quarter = len(window) // 2
    near, far = window[:quarter, :quarter], window[:quarter, : quarter - 1 : -1]
    return np.ascontiguousarray((near + far) / 2), np.ascontiguousarray((near - far) / 2)


def _both_axes(plane: Floats, matrices: Matrices, *, is_inverse: bool) -> Floats:
    dct, window = matrices.dct, matrices.window
    if is_inverse:
        dct, window = matrices.dct_inverse, matrices.window_inverse
    x: Any = plane
    for precision in (np.float64, np.float32):
        out = np.empty((x.shape[1], x.shape[0]), precision)
        run = partial(_transform_lines, x, matrices.size, dct, window, is_inverse, out)
        spread(run, x.shape[0], 2 * x.size * matrices.size)
        x = out
    found: Floats = x
    return found


def forward(plane: Floats, matrices: Matrices) -> Floats:
    """[h, w] -> [h / size, w / size, size**2]."""
    x = _both_axes(np.ascontiguousarray(plane), matrices, is_inverse=False)
    size = matrices.size
    out = np.empty((x.shape[0] // size, x.shape[1] // size, size * size), np.float32)
    _gather(x, size, matrices.places, out, 0, out.shape[0])
    return out


def inverse(coefficients: Floats, matrices: Matrices) -> Floats:
    """Undo `forward`."""
    h, w, _ = coefficients.shape
    x = np.empty((h * matrices.size, w * matrices.size), np.float32)
    _scatter(np.ascontiguousarray(coefficients), matrices.size, matrices.places, x, 0, h)
    return _both_axes(x, matrices, is_inverse=True)
