"""Elements to symbols, as an encoder rounds them, in one pass."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nvc.kernels.compile import kernel
from nvc.kernels.networks import Floats

Ints = npt.NDArray[np.int32]

_ZERO, _HALF, _ONE = np.float32(0), np.float32(0.5), np.float32(1)


@kernel
def _to_symbols(u, mean, rows, first, further, is_thrifty, first_table, most, values, symbols, tables):
    n_coded = 0
    for i in range(len(u)):
        row = rows[i]
        values[i] = mean[i] + _ZERO
        if row <= 0:
            continue
        x = u[i] - mean[i]
        size = abs(x)
        symbol = np.floor(size + _HALF)
        if is_thrifty:
            symbol = max(np.floor(size + _HALF - further[row]), _ONE) if size > _HALF + first[row] else _ZERO
        symbol = min(symbol, most)
        symbol = -symbol if x < _ZERO else symbol
        values[i] = symbol + mean[i]
        symbols[n_coded], tables[n_coded] = np.int32(symbol), row + first_table
        n_coded += 1
    return n_coded


def to_symbols(
    u: Floats,
    mean: Floats,
    rows: Ints,
    thresholds: tuple[Floats, Floats] | None,
    first_table: int,
    symbol_max: int,
) -> tuple[Floats, Ints, Ints]:
    """What elements [n] decode to, and of those that are coded, whose rows are over 0, symbols and tables.

    thresholds: of each row, how far beyond 1/2 a symbol lies that becomes 1, and more; None: elements are
    rounded to the nearest.
    """
    u, mean, rows = np.ascontiguousarray(u), np.ascontiguousarray(mean), np.ascontiguousarray(rows)
    values, symbols, tables = np.empty_like(mean), np.empty_like(rows), np.empty_like(rows)
    first, further = thresholds or (values[:0], values[:0])
    is_thrifty, most = thresholds is not None, np.float32(symbol_max)
    found = values, symbols, tables
    n = _to_symbols(u, mean, rows, first, further, is_thrifty, first_table, most, *found)
    return values, symbols[:n], tables[:n]
