"""A rANS decoder in plain Python that counts what it reads: the judge of the extension's manners.

The extension never looks whether its buffer has ended; this one does the same steps on the same bytes
and raises IndexError where the extension would read memory that is not its own.
"""

from __future__ import annotations

from bisect import bisect_right

from nvc.entropy.tables import PRECISION, CdfTables

STATE_MIN = 1 << 31
WORD_BITS = 32
ESCAPE_NIBBLES_MAX = 7  # beyond, the extension's 32-bit numbers overflow; an encoder's have at most five
NIBBLE_BITS = 4
NIBBLE_MAX = 15


class ReferenceRansDecoder:
    """Decodes symbols of `data`; `position` is the number of bytes read so far."""

    def __init__(self, data: bytes, tables: CdfTables) -> None:
        self._data = data
        self._cdfs = tables.cdfs()
        self._offsets = tables.offsets()
        self.position = 0
        self._state = self._word() | self._word() << WORD_BITS

    def decode(self, row: int) -> int | None:
        """The next symbol; None for an escape too long for 32 bits, which no encoder writes."""
        cdf = self._cdfs[row]
        low = self._state & ((1 << PRECISION) - 1)
        index = bisect_right(cdf, low) - 1
        self._state = (cdf[index + 1] - cdf[index]) * (self._state >> PRECISION) + low - cdf[index]
        self._refill()
        if index < len(cdf) - 2:
            return index + self._offsets[row]
        n_nibbles = nibble = self._nibble()
        while nibble == NIBBLE_MAX:
            nibble = self._nibble()
            n_nibbles += nibble
        value = 0
        for place in range(n_nibbles):
            value |= self._nibble() << (NIBBLE_BITS * place)
        if n_nibbles > ESCAPE_NIBBLES_MAX:
            return None
        outside = -(value >> 1) - 1 if value & 1 else (value >> 1) + index
        return outside + self._offsets[row]

    def _nibble(self) -> int:
        nibble = self._state & NIBBLE_MAX
        self._state >>= NIBBLE_BITS
        self._refill()
        return nibble

    def _refill(self) -> None:
        if self._state < STATE_MIN:
            self._state = self._state << WORD_BITS | self._word()

    def _word(self) -> int:
        end = self.position + WORD_BITS // 8
        if end > len(self._data):
            raise IndexError(f"word at byte {self.position} of {len(self._data)}")
        word = int.from_bytes(self._data[self.position : end], "little")
        self.position = end
        return word
