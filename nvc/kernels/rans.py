"""The rANS coder on arrays: byte for byte what CompressAI's extension writes and reads.

64-bit state, 32-bit words, frequencies in units of 2**-16; an escape is followed by its size in groups of
four bits (FORMAT.md, entropy coding). The extension takes and gives Python lists and wants its input
continued behind the end, which takes far longer than the coding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nvc.kernels.compile import inlined, kernel

Words = npt.NDArray[np.uint32]
Ints = npt.NDArray[np.int32]

_LOWEST = np.uint64(1 << 31)
_WORD, _PRECISION, _GROUP = np.uint64(32), np.uint64(16), np.uint64(4)
_LOW_16, _LOW_4 = np.uint64(0xFFFF), np.uint64(0xF)
_WORDS_A_SYMBOL = 11  # at most: itself, and an escape's count and eight groups


@dataclass(frozen=True)
class RansTables:
    """Cumulative rows one after the other: row r is cdfs[starts[r] : starts[r + 1]]; offsets: its smallest
    symbol."""

    cdfs: Ints
    starts: npt.NDArray[np.int64]
    offsets: Ints


def rans_tables(cdfs: list[list[int]], offsets: list[int]) -> RansTables:
    starts = np.cumsum([0, *map(len, cdfs)])
    flat = np.array([limit for row in cdfs for limit in row], np.int32)
    return RansTables(flat, starts, np.array(offsets, np.int32))


@inlined
def _refill(state, words, at):
    """Behind the end of the payload, zeros follow."""
    if state >= _LOWEST:
        return state, at
    word = np.uint64(words[at]) if at < len(words) else np.uint64(0)
    return (state << _WORD) | word, at + 1


@kernel
def _pop(words, position, rows, first_table, skipped, cdfs, starts, offsets, out):
    state, at = position[0], np.int64(position[1])
    for i in range(len(rows)):
        row = rows[i]
        if row == skipped:
            out[i] = 0
            continue
        row += first_table
        start, escape = starts[row], starts[row + 1] - starts[row] - 2
        share = np.int32(state & _LOW_16)
        low, high = np.int64(0), escape
        while low < high:
            middle = (low + high + 1) >> 1
            if cdfs[start + middle] <= share:
                low = middle
            else:
                high = middle - 1
        below = np.uint64(cdfs[start + low])
        frequency = np.uint64(cdfs[start + low + 1]) - below
        state = frequency * (state >> _PRECISION) + (state & _LOW_16) - below
        state, at = _refill(state, words, at)
        value = low
        if low == escape:
            group = np.int64(state & _LOW_4)
            state, at = _refill(state >> _GROUP, words, at)
            n_groups = group
            while group == 15:
                group = np.int64(state & _LOW_4)
                state, at = _refill(state >> _GROUP, words, at)
                n_groups += group
            raw = np.int64(0)
            for j in range(n_groups):
                group = np.int64(state & _LOW_4)
                state, at = _refill(state >> _GROUP, words, at)
                raw |= np.int64(np.int32(group << (4 * j % 32)))
            value = -(raw >> 1) - 1 if raw & 1 else (raw >> 1) + escape
        out[i] = np.int32(value + offsets[row])
    position[0], position[1] = state, np.uint64(at)


class ArrayReader:
    """Takes symbols from a payload."""

    def __init__(self, tables: RansTables, payload: bytes) -> None:
        self._tables = tables
        self._words = np.frombuffer(payload + bytes(-len(payload) % 4), "<u4")
        first = [int(word) for word in self._words[:2]] + [0, 0]
        self._position = np.array([first[0] | first[1] << 32, 2], np.uint64)

    def pop(self, rows: Ints) -> Ints:
        """The next symbols, one for each row."""
        return self._pop(rows, 0, -1)

    def pop_coded(self, rows: Ints, first_table: int) -> Ints:
        """As `pop`, of tables that begin with `first_table`; row 0 is the symbol 0 without a code."""
        return self._pop(rows, first_table, 0)

    def is_at(self, state: int) -> bool:
        """Whether this is the coder's state, and nothing but zeros is left of the payload."""
        state_now, at = map(int, self._position)
        return state_now == state and not self._words[at:].any()

    def _pop(self, rows: Ints, first_table: int, skipped: int) -> Ints:
        out = np.empty(len(rows), np.int32)
        t = self._tables
        _pop(self._words, self._position, rows, first_table, skipped, t.cdfs, t.starts, t.offsets, out)
        return out


@inlined
def _put(state, words, at, below, frequency, bits):
    if state >= ((_LOWEST >> bits) << _WORD) * frequency:
        at -= 1
        words[at] = np.uint32(state & np.uint64(0xFFFFFFFF))
        state >>= _WORD
    return ((state // frequency) << bits) + state % frequency + below, at


@inlined
def _put_group(state, words, at, group):
    if state >= ((_LOWEST >> _PRECISION) << _WORD) * np.uint64(1 << 12):
        at -= 1
        words[at] = np.uint32(state & np.uint64(0xFFFFFFFF))
        state >>= _WORD
    return (state << _GROUP) | np.uint64(group), at


@kernel
def _encode(symbols, rows, cdfs, starts, offsets, state, words):
    at = len(words)
    for i in range(len(symbols) - 1, -1, -1):
        row = rows[i]
        start, escape = starts[row], starts[row + 1] - starts[row] - 2
        value = np.int64(symbols[i]) - offsets[row]
        raw = np.int64(0)
        if value < 0:
            raw, value = -2 * value - 1, escape
        elif value >= escape:
            raw, value = 2 * (value - escape), escape
        if value == escape:
            n_groups = np.int64(0)
            while raw >> (4 * n_groups):
                n_groups += 1
            for j in range(n_groups - 1, -1, -1):
                state, at = _put_group(state, words, at, (raw >> (4 * j)) & 15)
            state, at = _put_group(state, words, at, n_groups)
        below = np.uint64(cdfs[start + value])
        frequency = np.uint64(cdfs[start + value + 1]) - below
        state, at = _put(state, words, at, below, frequency, _PRECISION)
    words[at - 1] = np.uint32(state >> _WORD)
    words[at - 2] = np.uint32(state & np.uint64(0xFFFFFFFF))
    return at - 2


def encode(tables: RansTables, symbols: Ints, rows: Ints, state: int) -> bytes:
    """Symbols of up to 17 bits, one table row each, to a payload; state: that the coder begins in."""
    words = np.empty(len(symbols) * _WORDS_A_SYMBOL + 2, "<u4")
    start = _encode(symbols, rows, tables.cdfs, tables.starts, tables.offsets, np.uint64(state), words)
    return words[start:].tobytes()
