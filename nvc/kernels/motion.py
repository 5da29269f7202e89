"""What is known around vectors that are to be coded, gathered and ranked in one pass."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nvc.kernels.compile import kernel
from nvc.kernels.networks import Floats

Ints = npt.NDArray[np.int64]


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


def look_around(
    known: Floats,
    before: Floats,
    here: Ints,
    around: Ints,
    index: int,
    scales: tuple[float, float, float],
    n_passes: int,
) -> tuple[Floats, Ints, Floats]:
    """`motion_coder.look_around` for one picture. scales: of near and of far differences, and their greatest
    size."""
    n, n_around = around.shape
    n_values = 2 * (3 * n_around + 1)
    candidates = np.empty((n, n_around + 1, 2), np.float32)
    rank = np.empty((n, n_around + 1), np.int64)
    seen = np.zeros((n, 3 * n_values + n_passes), np.float32)
    seen[:, 3 * n_values + index] = 1
    near, far, limit = (np.float32(scale) for scale in scales)
    _look_around(known, before, here, around, index == 0, limit, near, far, candidates, rank, seen)
    return candidates, rank, seen
