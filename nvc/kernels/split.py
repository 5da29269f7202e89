"""The exchange of split blocks' coefficients, block by block; sums in float64, where they are exact."""

from __future__ import annotations

from functools import partial

import numpy as np
import numpy.typing as npt

from nvc.kernels.compile import inlined, kernel
from nvc.kernels.networks import Floats
from nvc.kernels.team import spread
from nvc.kernels.transform import Doubles, rounded


@inlined
def _multiply(matrix, x, out, sums):
    """out = the transpose of matrix @ x, rounded; as far as the matrix reaches."""
    n = matrix.shape[0]
    for i in range(n):
        for column in range(n):
            sums[column] = 0.0
        for k in range(n):
            factor = matrix[i, k]
            for column in range(n):
                sums[column] += factor * x[k, column]
        for column in range(n):
            out[column, i] = rounded(sums[column])


@kernel
def _exchange(rows, places, luma, chroma, out, first, last):
    size, half = luma.shape[0], chroma.shape[0]
    x, between, sums = np.empty((size, size)), np.empty((size, size)), np.empty(size)
    block = np.empty(size * size + 2 * half * half, np.float64)
    for row in range(first, last):
        block[:] = 0.0
        for i in range(len(places)):
            block[places[i]] = rounded(np.float64(rows[row, i]))
        start = 0
        for plane in range(3):
            matrix = chroma if plane else luma
            n = matrix.shape[0]
            for i in range(n):
                for j in range(n):
                    x[j, i] = block[start + i * n + j]
            _multiply(matrix, x, between, sums)
            _multiply(matrix, between, x, sums)
            for i in range(n):
                for j in range(n):
                    block[start + i * n + j] = x[j, i]
            start += n * n
        for i in range(len(places)):
            out[row, i] = block[places[i]]


def exchange(rows: Floats, places: npt.NDArray[np.int64], luma: Doubles, chroma: Doubles) -> Floats:
    """Multiply the coefficients of each block along both axes; float32 [n_blocks, n_kept].

    places: [n_kept], where they stand among the block's luma and chroma coefficients, plane by plane and row
    by row. luma, chroma: matrices of each plane, whose size is the block's.
    """
    out = np.empty_like(rows)
    run = partial(_exchange, rows, places, luma, chroma, out)
    spread(run, len(rows), len(rows) * 2 * (len(luma) ** 3 + 2 * len(chroma) ** 3))
    return out
