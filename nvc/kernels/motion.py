"""A pass of vectors that are to be coded: what is known around each, gathered and ranked, what the network
makes of it, and what a symbol takes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nvc.kernels.compile import inlined, kernel
from nvc.kernels.networks import SPAN, Floats, Packed, new_inputs, new_sums, quantised
from nvc.kernels.products import multiply

Ints = npt.NDArray[np.int64]

_ZERO, _EIGHTH, _ONE = np.float32(0), np.float32(0.125), np.float32(1)


@kernel
def _look_around(known, before, here, around, is_first, limit, near, far, candidates, rank, seen):
    n_around = around.shape[1]
    k = n_around + 1
    vectors = np.empty((k, 2), np.float32)
    distances = np.empty(k, np.float32)
    n_values = 2 * (3 * n_around + 1)
    for i in range(len(here)):
        own = here[i]
        for j in range(n_around):
            place = around[i, j]
            for c in range(2):
                vectors[j, c] = before[place, c] if is_first else known[place, c]
        vectors[n_around] = before[own]
        for j in range(k):
            total = np.float32(0)
            for other in range(k):
                total += abs(vectors[j, 0] - vectors[other, 0]) + abs(vectors[j, 1] - vectors[other, 1])
            place = j  # behind those that are as near
            while place and distances[place - 1] > total:
                distances[place] = distances[place - 1]
                candidates[i, place] = candidates[i, place - 1]
                place -= 1
            distances[place] = total
            candidates[i, place] = vectors[j]
        n_ranks = 0
        for j in range(k):
            rank[i, j] = n_ranks
            for other in range(j):
                if (
                    candidates[i, j, 0] == candidates[i, other, 0]
                    and candidates[i, j, 1] == candidates[i, other, 1]
                ):
                    rank[i, j] = -1
            n_ranks += rank[i, j] >= 0
        for c in range(2):
            first, was = candidates[i, 0, c], before[own, c]
            seen[i, 2 * n_around + c] = was - first
            for j in range(n_around):
                then = before[around[i, j], c]
                seen[i, 2 * j + c] = vectors[j, c] - first
                seen[i, 2 * (n_around + 1 + j) + c] = then - vectors[j, c]
                seen[i, 2 * (2 * n_around + 1 + j) + c] = then - was
        for j in range(n_values):
            difference = seen[i, j]
            small = min(max(difference * near, -limit), limit)
            seen[i, j], seen[i, n_values + j] = small, abs(small)
            seen[i, 2 * n_values + j] = min(abs(difference) * far, limit)


@inlined
def _fill(x, start, n, affine, inputs):
    for i in range(n):
        for c in range(x.shape[1]):
            inputs[i, c] = quantised(x[start + i, c], affine[0, -1], affine[1, -1])


@kernel
def _parameters(seen, layers, gain, shift, first_row, candidates, scale, mean):
    enter, enter_affine, middle, middle_affine, leave, leave_affine = layers
    n_in, width = seen.shape[1], len(gain)
    inputs, sums = new_inputs(SPAN, n_in), new_sums(SPAN, enter, n_in)
    between, between_sums = new_inputs(SPAN, width), new_sums(SPAN, middle, width)
    last_sums = new_sums(SPAN, leave, width)
    hidden = np.empty((SPAN, width), np.float32)
    for start in range(0, len(seen), SPAN):
        n = min(SPAN, len(seen) - start)
        _fill(seen, start, n, enter_affine, inputs)
        multiply(inputs, n, enter, sums)
        for i in range(n):
            for c in range(width):
                y = np.float32(sums[i, c]) * enter_affine[0, c] + enter_affine[1, c]
                y = y * gain[c] + shift[c]
                hidden[i, c] = y if y > _ZERO else y * _EIGHTH
        _fill(hidden, 0, n, middle_affine, between)
        multiply(between, n, middle, between_sums)
        for i in range(n):
            for c in range(width):
                y = np.float32(between_sums[i, c]) * middle_affine[0, c] + middle_affine[1, c]
                hidden[i, c] = y if y > _ZERO else y * _EIGHTH
        _fill(hidden, 0, n, leave_affine, between)
        multiply(between, n, leave, last_sums)
        for i in range(n):
            for c in range(5):
                y = np.float32(last_sums[i, c]) * leave_affine[0, c] + leave_affine[1, c]
                if c < 3:
                    y = y + first_row
                    scale[start + i, c] = y if y > _ONE else _ONE
                else:
                    mean[start + i, c - 3] = candidates[start + i, 0, c - 3] + np.rint(y)


@dataclass(frozen=True)
class PackedMotion:
    """What does not change from pass to pass. layers: enter, middle, leave. gain, shift: [width], of this qp.
    scales: of near and of far differences, and their greatest size. n_passes: of a picture. first_row: what
    is added to scales."""

    layers: tuple[Packed, ...]
    gain: Floats
    shift: Floats
    scales: tuple[float, float, float]
    n_passes: int
    first_row: float


def expect(
    known: Floats, before: Floats, here: Ints, around: Ints, index: int, network: PackedMotion
) -> tuple[Floats, Ints, Floats, Floats]:
    """What is known of a picture's vectors at `here`: candidates, rank, scale and mean, see
    motion_coder.Expected; the other arguments are those of `look_around` there."""
    n, n_around = around.shape
    n_values = 2 * (3 * n_around + 1)
    candidates = np.empty((n, n_around + 1, 2), np.float32)
    rank = np.empty((n, n_around + 1), np.int64)
    seen = np.zeros((n, 3 * n_values + network.n_passes), np.float32)
    seen[:, 3 * n_values + index] = 1
    near, far, limit = (np.float32(scale) for scale in network.scales)
    _look_around(known, before, here, around, index == 0, limit, near, far, candidates, rank, seen)
    scale, mean = np.empty((n, 3), np.float32), np.empty((n, 2), np.float32)
    layers: Any = tuple(array for layer in network.layers for array in (layer.weights, layer.affine))
    first_row = np.float32(network.first_row)
    _parameters(seen, layers, network.gain, network.shift, first_row, candidates, scale, mean)
    return candidates, rank, scale, mean


@kernel
def _take(chosen, candidates, rank, new, out):
    n_new = 0
    for i in range(len(chosen)):
        if chosen[i] < 0:
            out[i] = new[n_new]
            n_new += 1
            continue
        last = 0
        for j in range(rank.shape[1]):
            last = max(last, rank[i, j])
        for j in range(rank.shape[1]):
            if rank[i, j] == min(chosen[i], last):
                out[i] = candidates[i, j]


def take(chosen: Ints, candidates: Floats, rank: Ints, new: Floats) -> Floats:
    """Vectors [n, 2]: of ranks chosen [n] the candidates, and where they are -1, one of new [.., 2] after the
    other; beyond the last rank, the last."""
    out = np.empty((len(chosen), 2), np.float32)
    _take(chosen, candidates, rank, new, out)
    return out
