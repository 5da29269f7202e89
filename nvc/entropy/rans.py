"""The rANS coder: CompressAI's C++ extension behind our own small interface.

Only the extension is loaded, by its file: the package around it would import torchvision and pandas,
which takes seconds and fails beside a CPU-only torch.
"""

from __future__ import annotations

import importlib.util
from bisect import bisect_right
from functools import cached_property, lru_cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from bitstream_spec import CorruptStream
from nvc import kernels
from nvc.entropy.tables import PRECISION, CdfTables
from nvc.errors import NvcError

if TYPE_CHECKING:
    from nvc.kernels.rans import RansTables

Rows = npt.NDArray[np.int32]
Lists = tuple[list[list[int]], list[int], list[int]]  # cumulative rows, their lengths, their first symbols

_STATE_BYTES = 8
_TRIMMED_STATE_BYTES = 5
_STATE_MIN = 1 << 31  # the coder's lower bound: from there up, a symbol takes at most 16 bits of the payload
_SYMBOL_BYTES_MAX = 5  # 16 bits, and 24 more for the escape of a symbol up to 2**15
_BYTES_BEYOND_END = 4  # per symbol: its 16 bits, and as much for the escapes among them
_SLACK_BYTES = 1024  # one escape: at most 15 bytes for each byte of a run of ones, the state's included
_ENDLESS_ESCAPE = b"\xff" * 32  # an escape's length is a run of ones, and no encoder meets one so long
_ALL = 1 << PRECISION
# What a state is read with: symbols of frequencies 511, 509, .. 1, by which its upper bits come down, too.
_READS = 16
_READ_CDF = [*(_ALL - i * i for i in range(256, -1, -1)), _ALL]


@lru_cache(maxsize=1)
def _ans() -> ModuleType:
    package = importlib.util.find_spec("compressai")
    places = package.submodule_search_locations if package else None
    for place in places or []:
        for file in sorted(Path(place).glob("ans.*")):
            spec = importlib.util.spec_from_file_location("compressai.ans", file)
            if spec and spec.loader:
                module = importlib.util.module_from_spec(spec)
                spec.loader.exec_module(module)
                return module
    raise NvcError("CompressAI's rANS coder is not installed: pip install compressai")


class RansCoder:
    """Encodes and decodes symbols with one set of tables."""

    def __init__(self, tables: CdfTables) -> None:
        cdfs = tables.cdfs()
        self.lists: Lists = cdfs, [len(row) for row in cdfs], tables.offsets()
        self.n_rows = len(cdfs)

    @cached_property
    def arrays(self) -> RansTables:
        """The tables as kernels read them."""
        from nvc.kernels.rans import rans_tables

        return rans_tables(self.lists[0], self.lists[2])

    def encode(self, groups: list[tuple[Tensor, Tensor]], checksum: int = 0) -> bytes:
        """Groups of (symbols, table rows), int32 [n] each, to one payload, which is never empty.

        checksum: 16 bits that the payload will fit (RansDecoder.fits); they cost no space.
        """
        symbols, rows = (torch.cat(parts).to("cpu", torch.int32) for parts in zip(*groups, strict=True))
        if kernels.wanted():
            from nvc.kernels.rans import encode

            return trimmed(encode(self.arrays, symbols.numpy(), rows.numpy(), first_state(checksum)))
        cdfs, lengths, offsets = self.lists
        first, second = first_symbols(checksum)
        # What is coded first stands last; tables for it alone, of which symbol 1 is taken.
        own = [[0, below, below + frequency, _ALL] for below, frequency in (second, first)]
        tables = cdfs + own, [*lengths, 4, 4], [*offsets, 0, 0]
        own_rows = [self.n_rows, self.n_rows + 1]
        coded = [*symbols.tolist(), 1, 1], rows.tolist() + own_rows
        return trimmed(_ans().RansEncoder().encode_with_indexes(*coded, *tables))

    def decoder(self, payload: bytes) -> RansDecoder:
        return RansDecoder(self, payload)


class RansDecoder:
    """Takes symbols from one payload, in the order in which they were encoded; see `continued_payload`."""

    def __init__(self, coder: RansCoder, payload: bytes, symbols_max: int = 1 << 20) -> None:
        self._coder = coder
        self._payload = payload
        self._symbols_left = symbols_max
        self._state: SymbolReader | None = None

    def expect(self, n_symbols: int) -> None:
        """At most this many symbols will be asked for; must come before the first `pop`."""
        self._symbols_left = n_symbols

    def pop(self, rows: Tensor) -> Tensor:
        """The next symbols, one for each table row; int32 [n]. Raises CorruptStream at the payload's end."""
        wanted = rows.cpu().numpy()
        return torch.from_numpy(self._reader(len(wanted)).pop(wanted) if len(wanted) else wanted)

    def pop_coded(self, rows: Tensor, first_table: int = 0) -> Tensor:
        """As `pop`, of tables that begin with `first_table`; of row 0 nothing was encoded, and its symbols
        are 0."""
        wanted = rows.cpu().numpy()
        n = np.count_nonzero(wanted)
        return torch.from_numpy(self._reader(n).pop_coded(wanted, first_table) if n else wanted)

    def fits(self, checksum: int) -> bool:
        """Whether the payload was encoded with this checksum, now that all its symbols were taken.

        Seldom true of a payload that was damaged, cut, continued, or read with other table rows than the
        encoder's.
        """
        return self._reader(0).is_at(first_state(checksum))

    def _reader(self, n: int) -> SymbolReader:
        """What decodes the next n symbols."""
        if not self._payload or n > self._symbols_left:
            raise CorruptStream("a payload holds fewer symbols than its frame needs")
        if self._state is None:
            self._state = self._begin()
        self._symbols_left -= n
        return self._state

    def _begin(self) -> SymbolReader:
        payload = continued_payload(self._payload, self._symbols_left)
        if kernels.wanted():
            from nvc.kernels.rans import ArrayReader

            return ArrayReader(self._coder.arrays, payload)
        return ListReader(self._coder.lists, payload)


class SymbolReader(Protocol):
    """Decodes symbols of table rows, int32 [n]; `pop_coded` those of tables from a first one on, and leaves
    out row 0, whose symbols are 0."""

    def pop(self, rows: Rows) -> Rows: ...

    def pop_coded(self, rows: Rows, first_table: int) -> Rows: ...

    def is_at(self, state: int) -> bool:
        """Whether this is the coder's state and zeros follow; nothing can be decoded afterwards."""
        ...


class ListReader:
    """CompressAI's decoder. It trusts its input and reads on behind a payload's end."""

    def __init__(self, lists: Lists, payload: bytes) -> None:
        self._lists = lists
        self._state = _ans().RansDecoder()
        self._state.set_stream(payload)

    def pop(self, rows: Rows) -> Rows:
        return np.array(self._state.decode_stream(rows.tolist(), *self._lists), np.int32)

    def pop_coded(self, rows: Rows, first_table: int) -> Rows:
        symbols = np.zeros_like(rows)
        symbols[rows > 0] = self.pop(rows[rows > 0] + np.int32(first_table))
        return symbols

    def is_at(self, state: int) -> bool:
        """The extension does not show its state: it is read as symbols, for which some words behind it are
        taken, too."""
        found = self._state.decode_stream([0] * _READS, [_READ_CDF], [len(_READ_CDF)], [0])
        return bool(found == _read_state(state))


def first_symbols(checksum: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """What is coded before all others (below, frequency) and never decoded: it takes the coder to a state of
    its own for each checksum of 16 bits, which is where a decoder ends. Both are nearly certain symbols."""
    high, low = divmod(checksum, 256)
    return (0, _ALL - 2 - 2 * high), (low, _ALL - 255)


def first_state(checksum: int) -> int:
    """The coder's state with `first_symbols` alone."""
    state = _STATE_MIN
    for below, frequency in first_symbols(checksum):
        state = (state // frequency << PRECISION) + state % frequency + below
    return state


def _read_state(state: int) -> list[int]:
    """What a decoder in this state reads as _READS symbols of _READ_CDF; behind the end, zeros follow."""
    found = []
    for _ in range(_READS):
        share = state % _ALL
        symbol = bisect_right(_READ_CDF, share) - 1
        below, above = _READ_CDF[symbol : symbol + 2]
        state = (above - below) * (state >> PRECISION) + share - below
        if state < _STATE_MIN:
            state <<= 32
        found.append(symbol)
    return found


def trimmed(payload: bytes) -> bytes:
    """What the extension wrote without the upper bytes of its state that say nothing.

    Words of four bytes follow a state of five to eight: the payload's length tells how many.
    """
    state = int.from_bytes(payload[:_STATE_BYTES], "little")
    n_bytes = max(_TRIMMED_STATE_BYTES, (state.bit_length() + 7) // 8)
    return payload[:n_bytes] + payload[_STATE_BYTES:]


def continued_payload(payload: bytes, n_symbols: int) -> bytes:
    """Undoes `trimmed`, and adds all that the extension could read behind the end for `n_symbols`.

    Raises CorruptStream if no encoder writes such a payload, so that this bound would not hold.
    """
    if len(payload) < _TRIMMED_STATE_BYTES or _ENDLESS_ESCAPE in payload:
        raise CorruptStream("a payload is not one of the entropy coder")
    if len(payload) > n_symbols * _SYMBOL_BYTES_MAX + _SLACK_BYTES:
        raise CorruptStream("a payload is longer than its frame could need")
    n_bytes = _TRIMMED_STATE_BYTES + (len(payload) - _TRIMMED_STATE_BYTES) % 4
    state = int.from_bytes(payload[:n_bytes], "little")
    if state < _STATE_MIN:
        raise CorruptStream("a payload is not one of the entropy coder")
    whole = state.to_bytes(_STATE_BYTES, "little") + payload[n_bytes:]
    return whole.ljust(len(whole) + n_symbols * _BYTES_BEYOND_END + _SLACK_BYTES, b"\0")
