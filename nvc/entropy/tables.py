"""Integer cumulative tables, one row for each scale; made once at export, then only shipped.

They begin as Laplace distributions and are fitted to the symbols that an encoder really writes: its rounding
thins them out near the threshold, and they reach further. Building them takes exponentials, whose last bit
differs between machines, so a decoder never does it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nvc.errors import ModelError

PRECISION = 16  # a table's frequencies sum to 1 << PRECISION
TAIL_MASS = 2.0**-11  # what a Laplace table leaves to escapes
HALF_MIN = 4  # small rows, too, reach so far: rare symbols are dear as escapes
PRIOR_SYMBOLS, PRIOR_SYMBOLS_PER_SIZE = 200, 30  # what a Laplace row counts beside what was seen
N_ROWS_MAX = 1024
ROW_LENGTH_MAX = 4096


@dataclass(frozen=True)
class CdfTables:
    """One symmetric row of integer frequencies for each scale.

    frequencies: int32, the rows' right halves one after the other: symbols 0, 1, ... half of each row.
    sizes: int32 [n_rows], half + 1 of each row. What a row lacks to 1 << PRECISION is its escape's.
    """

    frequencies: npt.NDArray[np.int32]
    sizes: npt.NDArray[np.int32]

    def __post_init__(self) -> None:
        """Raises ModelError where a table could lead the coder out of its range."""
        sizes, frequencies = self.sizes, self.frequencies
        if not 1 <= len(sizes) <= N_ROWS_MAX or sizes.min() < 1 or sizes.max() > ROW_LENGTH_MAX:
            raise ModelError("the weights file has entropy tables of impossible size")
        if sizes.sum() != len(frequencies) or frequencies.min() < 1 or frequencies.max() >= 1 << PRECISION:
            raise ModelError("the weights file has damaged entropy tables")
        if any(cdf[-2] >= 1 << PRECISION for cdf in self.cdfs()):
            raise ModelError("the weights file has entropy tables that leave no room for an escape")

    def cdfs(self) -> list[list[int]]:
        """Cumulative rows of symbols -half..half and the escape: 0 first, 1 << PRECISION last."""
        rows = np.split(self.frequencies, np.cumsum(self.sizes)[:-1])
        both = [np.concatenate([row[:0:-1], row]) for row in rows]
        return [[0, *np.cumsum(row).tolist(), 1 << PRECISION] for row in both]

    def offsets(self) -> list[int]:
        """The smallest symbol of each row."""
        return [1 - int(size) for size in self.sizes]


def laplace_tables(scales: list[float], counts: npt.NDArray[np.int64] | None = None) -> CdfTables:
    """Tables of zero-mean Laplace distributions with these standard deviations, in quantiser steps.

    counts: [n_rows, n_sizes], how often symbols of each magnitude were coded with each row, to fit them to.
    """
    rows = []
    for index, scale in enumerate(scales):
        spread = scale / math.sqrt(2)
        half = max(HALF_MIN, math.ceil(-spread * math.log(TAIL_MASS)))
        size = np.arange(1, half + 1)
        side = 0.5 * (np.exp(-(size - 0.5) / spread) - np.exp(-(size + 0.5) / spread))
        escaped = math.exp(-(half + 0.5) / spread)
        if counts is not None:
            prior = PRIOR_SYMBOLS + PRIOR_SYMBOLS_PER_SIZE * half
            seen = np.zeros(half + 1)
            known = counts[index, : half + 1]
            seen[: len(known)] = known
            beyond = int(counts[index, half + 1 :].sum())
            side = (side * prior + seen[1:] / 2) / (prior + counts[index].sum())
            escaped = (escaped * prior + beyond) / (prior + counts[index].sum())
        escape = max(1, round(escaped * (1 << PRECISION)))
        frequencies = np.maximum(1, np.round(side * (1 << PRECISION))).astype(np.int32)
        centre = (1 << PRECISION) - escape - 2 * int(frequencies.sum())
        rows.append(np.concatenate([np.array([centre], np.int32), frequencies]))
    return CdfTables(np.concatenate(rows), np.array([len(r) for r in rows], np.int32))
