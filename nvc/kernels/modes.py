"""The encoder's choice of each block's modes, for many blocks side by side. Nothing a decoder computes: only
the order of sums differs from the torch code, which may decide between equals."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from nvc.kernels.compile import inlined, kernel
from nvc.kernels.networks import Floats
from nvc.kernels.team import spread
from nvc.kernels.transform import PER_UNIT, UNIT, Doubles, whole

Ints = npt.NDArray[np.int64]

_ZERO, _ONE, _TWO = np.float32(0), np.float32(1), np.float32(2)
_BLOCKS = 16  # worked on side by side


@inlined
def _multiply(matrix, x, out):
    """out = matrix @ x, in whole numbers."""
    n, width = matrix.shape[0], x.shape[1]
    for i in range(n):
        for j in range(width):
            out[i, j] = 0.0
        for k in range(0, n, 4):
            a, b, c, d = matrix[i, k], matrix[i, k + 1], matrix[i, k + 2], matrix[i, k + 3]
            for j in range(width):
                out[i, j] += (a * x[k, j] + b * x[k + 1, j]) + (c * x[k + 2, j] + d * x[k + 3, j])
        for j in range(width):
            out[i, j] = whole(out[i, j])


@inlined
def _both_axes(matrix, x, between, start):
    """Multiply the coefficients of a plane from `start` on by the matrix along both axes; they begin
    transposed."""
    n = matrix.shape[0]
    end = start + n * n
    rows = n, n * _BLOCKS
    _multiply(matrix, x[start:end].reshape(rows), between[start:end].reshape(rows))
    for i in range(n):
        for j in range(n):
            for block in range(_BLOCKS):
                x[start + j * n + i, block] = between[start + i * n + j, block]
    _multiply(matrix, x[start:end].reshape(rows), between[start:end].reshape(rows))


@inlined
def _exchange(rest, places, matrices, x, between, out):
    """The coefficients [n_kept, _BLOCKS] of blocks that are split; see block_split.BlockSplit.exchange."""
    luma, chroma = matrices
    here, transposed = places
    x[:] = 0.0
    for i in range(len(here)):
        for block in range(_BLOCKS):
            x[transposed[i], block] = whole(np.float64(rest[i, block]) * PER_UNIT)
    n_luma, n_chroma = luma.shape[0] ** 2, chroma.shape[0] ** 2
    _both_axes(luma, x, between, 0)
    _both_axes(chroma, x, between, n_luma)
    _both_axes(chroma, x, between, n_luma + n_chroma)
    for i in range(len(here)):
        for block in range(_BLOCKS):
            out[i, block] = between[here[i], block] * UNIT


@inlined
def _add_cost(u, to_symbol, per_square, bits, costs):
    """Add what elements [n_kept, _BLOCKS] cost in bits and in squared errors, less their squares."""
    last = np.int32(len(bits) - 1)
    for i in range(len(u)):
        for block in range(_BLOCKS):
            size = abs(u[i, block])
            symbol = np.floor(size + to_symbol)
            price = bits[np.uint32(min(np.int32(symbol), last))]
            costs[block] += per_square * (symbol * (symbol - _TWO * size)) + price


@kernel
def _choose(own, known, left, places, luma, chroma, prices, best, first, last):
    to_symbol, per_square, bits, mode_bits = prices
    n, n_all = own.shape[1], luma.shape[1] ** 2 + 2 * chroma.shape[1] ** 2
    shape = n, _BLOCKS
    here, rest, exchanged = (
        np.zeros(shape, np.float32),
        np.empty(shape, np.float32),
        np.empty(shape, np.float32),
    )
    x, between = np.empty((n_all, _BLOCKS)), np.empty((n_all, _BLOCKS))
    more, costs, least = (
        np.empty(_BLOCKS, np.float32),
        np.empty(_BLOCKS, np.float32),
        np.empty(_BLOCKS, np.float32),
    )
    n_splits = 1 + len(luma)
    for start in range(first, last, _BLOCKS):
        n_blocks = min(_BLOCKS, last - start)
        for block in range(n_blocks):
            for i in range(n):
                here[i, block] = own[start + block, i]
        least[:] = np.inf
        for blur in range(len(left)):
            more[:] = _ZERO
            rest[:] = here
            if blur:
                for i in range(n):
                    share = _ONE - left[blur, i]
                    if share:
                        for block in range(n_blocks):
                            rest[i, block] += share * known[start + block, i]
                        for block in range(_BLOCKS):
                            more[block] += rest[i, block] ** 2 - here[i, block] ** 2
            for split in range(n_splits):
                costs[:] = per_square * more + mode_bits * np.float32((blur > 0) + (split > 0))
                if split:
                    matrices = luma[split - 1], chroma[split - 1]
                    _exchange(rest, places, matrices, x, between, exchanged)
                    _add_cost(exchanged, to_symbol, per_square, bits, costs)
                else:
                    _add_cost(rest, to_symbol, per_square, bits, costs)
                for block in range(n_blocks):
                    if costs[block] < least[block]:
                        least[block], best[start + block] = costs[block], split + n_splits * blur


@dataclass(frozen=True)
class Prices:
    """to_symbol: what is added to sizes before they are rounded down to symbols. per_square: bits that a
    squared error is worth. bits: of symbols by their size, the last of all larger ones, and of saying that a
    block is split or blurred."""

    to_symbol: float
    per_square: float
    bits: Floats
    mode_bits: float


def choose(
    own: Floats,
    known: Floats | None,
    left: Floats,
    places: tuple[Ints, Ints],
    luma: Doubles,
    chroma: Doubles,
    prices: Prices,
) -> Ints:
    """The cheapest modes of blocks, as split + splits * blur.

    own, known: what is left of the blocks and their predictions, in quantiser steps [n_blocks, n_kept]; known
    is None where no block can be blurred. left: [blurs, n_kept], what each blur leaves of a prediction.
    places: see `split.exchange`, and the same in transposed planes. luma, chroma: matrices of each split
    [splits, n, n].
    """
    best = np.zeros(len(own), np.int64)
    blurs = left if known is not None else left[:1]
    numbers = np.float32(prices.to_symbol), np.float32(prices.per_square)
    run: Any = partial(
        _choose,
        np.ascontiguousarray(own),
        np.ascontiguousarray(own if known is None else known),
        blurs,
        places,
        luma,
        chroma,
        (*numbers, prices.bits, np.float32(prices.mode_bits)),
        best,
    )
    spread(run, len(own), len(own) * len(blurs) * len(luma) * 2 * luma.shape[1] ** 3)
    return best
