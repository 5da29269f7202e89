"""The rANS coder: CompressAI's C++ extension behind our own small interface.

Only the extension is loaded, by its file: the package around it would import torchvision and pandas,
which takes seconds and fails beside a CPU-only torch.
"""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bitstream_spec import CorruptStream
from nvc.entropy.tables import CdfTables
from nvc.errors import NvcError

# The extension's output buffer has one word a symbol; its final state alone takes two.
_SYMBOLS_MIN = 8
_STATE_BYTES = 8
_STATE_MIN = 1 << 31  # the coder's lower bound: from there up, a symbol takes at most 16 bits of the payload
_SYMBOL_BYTES_MAX = 5  # 16 bits, and 24 more for the escape of a symbol up to 2**15
_BYTES_BEYOND_END = 4  # per symbol: its 16 bits, and as much for the escapes among them
_SLACK_BYTES = 1024  # one escape: at most 15 bytes for each byte of a run of ones, the state's included
_ENDLESS_ESCAPE = b"\xff" * 32  # an escape's length is a run of ones, and no encoder meets one so long


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
        self._cdfs = tables.cdfs()
        self._sizes = [len(c) for c in self._cdfs]
        self._offsets = tables.offsets()
        self.n_rows = len(self._cdfs)

    def encode(self, groups: list[tuple[Tensor, Tensor]]) -> bytes:
        """Groups of (symbols, table rows), int32 [n] each, to one payload; no symbols, no bytes."""
        symbols = [s for group, _ in groups for s in group.tolist()]
        rows = [r for _, group in groups for r in group.tolist()]
        if not symbols:
            return b""
        if len(symbols) < _SYMBOLS_MIN:  # certain zeros behind the end, which nobody decodes
            missing = _SYMBOLS_MIN - len(symbols)
            symbols += [0] * missing
            rows += [0] * missing
        payload: bytes = (
            _ans().RansEncoder().encode_with_indexes(symbols, rows, self._cdfs, self._sizes, self._offsets)
        )
        return payload

    def decoder(self, payload: bytes) -> RansDecoder:
        return RansDecoder(self, payload)

    def _decode(self, state: object, rows: list[int]) -> list[int]:
        values: list[int] = state.decode_stream(rows, self._cdfs, self._sizes, self._offsets)  # type: ignore[attr-defined]
        return values


class RansDecoder:
    """Takes symbols from one payload, in the order in which they were encoded.

    The extension trusts its input and reads on behind a payload's end: see `continued_payload`.
    """

    def __init__(self, coder: RansCoder, payload: bytes, symbols_max: int = 1 << 20) -> None:
        self._coder = coder
        self._payload = payload
        self._symbols_left = symbols_max
        self._state: Any = None

    def expect(self, n_symbols: int) -> None:
        """At most this many symbols will be asked for; must come before the first `pop`."""
        self._symbols_left = n_symbols

    def pop(self, rows: Tensor) -> Tensor:
        """The next symbols, one for each table row; int32 [n].

        Raises CorruptStream if the payload is missing, is none, or if more is asked for than was expected.
        """
        n = len(rows)
        if not n:
            return torch.zeros(0, dtype=torch.int32)
        if not self._payload or n > self._symbols_left:
            raise CorruptStream("a payload holds fewer symbols than its frame needs")
        if self._state is None:
            self._state = _ans().RansDecoder()
            self._state.set_stream(continued_payload(self._payload, self._symbols_left))
        self._symbols_left -= n
        values = self._coder._decode(self._state, rows.tolist())
        return torch.from_numpy(np.array(values, dtype=np.int32))


def continued_payload(payload: bytes, n_symbols: int) -> bytes:
    """A payload with all that the extension could read behind it while it decodes `n_symbols`.

    Raises CorruptStream if no encoder writes such a payload, so that this bound would not hold.
    """
    state = int.from_bytes(payload[:_STATE_BYTES], "little")
    if len(payload) < _STATE_BYTES or state < _STATE_MIN or _ENDLESS_ESCAPE in payload:
        raise CorruptStream("a payload is not one of the entropy coder")
    if len(payload) > n_symbols * _SYMBOL_BYTES_MAX + _SLACK_BYTES:
        raise CorruptStream("a payload is longer than its frame could need")
    return payload.ljust(len(payload) + n_symbols * _BYTES_BEYOND_END + _SLACK_BYTES, b"\0")
