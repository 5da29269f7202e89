"""A frame's quality map: qp offsets on the grid of 16x16 blocks, and their bytes (FORMAT.md, quality map)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from bitstream_spec import CorruptStream, UnsupportedStream
from nvc.config import QP_MAX
from nvc.entropy.rans import RansCoder
from nvc.models.quantiser import N_SCALES, laplace_bits

Offsets = npt.NDArray[np.int16]
"""[rows, columns], each -63..63, added to the frame's qp."""

_FROM_BEFORE = 0x80
_ROW_MASK = 0x3F
_VALUE_MAX = 1000


def clip_qps(qp: int, offsets: Offsets) -> npt.NDArray[np.int64]:
    """The qp of each block."""
    return np.clip(qp + offsets.astype(np.int64), 0, QP_MAX)


def build_map(offsets: Offsets, before: Offsets, coder: RansCoder) -> bytes:
    """Code a map, by itself or as the difference to the one before, whichever takes fewer bits."""
    best_bits, head, unit, best = np.inf, 0, 0, np.zeros(0, np.int32)
    for flag, values in ((0, offsets), (_FROM_BEFORE, offsets - before)):
        if not values.any():
            return bytes([flag])  # row 0
        divisor = int(np.gcd.reduce(np.abs(values), axis=None))
        residuals = _residuals((values // divisor).astype(np.int32)).reshape(-1)
        symbols, counts = np.unique(residuals, return_counts=True)
        rows = torch.arange(1, N_SCALES, dtype=torch.float32)[:, None]
        bits = (laplace_bits(torch.from_numpy(symbols)[None].float(), rows) * torch.from_numpy(counts)).sum(1)
        row = 1 + int(bits.argmin())
        if float(bits[row - 1]) < best_bits:
            best_bits, head, unit, best = float(bits[row - 1]), flag | row, divisor, residuals
    symbols = torch.from_numpy(best)
    return bytes([head, unit]) + coder.encode([(symbols, torch.full_like(symbols, head & _ROW_MASK))])


def parse_map(payload: bytes, before: Offsets, coder: RansCoder) -> Offsets:
    """Decode a map of the size of the one before it. Raises CorruptStream where the payload is none."""
    if not payload:
        return before
    flag, row = payload[0] & _FROM_BEFORE, payload[0] & _ROW_MASK
    if payload[0] & ~(_FROM_BEFORE | _ROW_MASK):
        raise UnsupportedStream("a quality map has reserved bits; a newer nvc may read this stream")
    values = np.zeros(before.shape, np.int32)
    if row:
        decoder = coder.decoder(payload[2:])
        decoder.expect(before.size)
        residuals = decoder.pop(torch.full((before.size,), row, dtype=torch.int32)).numpy()
        if not decoder.fits(0):
            raise CorruptStream("a quality map is damaged")
        values = _values(residuals.reshape(before.shape)) * payload[1]
    elif len(payload) > 1:
        raise CorruptStream("a quality map has bytes that nothing asks for")
    if flag:
        values = values + before
    if np.abs(values).max(initial=0) > QP_MAX:
        raise CorruptStream(f"a quality map has offsets beyond {QP_MAX}")
    return values.astype(np.int16)


def _residuals(values: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Each value less what its neighbours predict."""
    padded = np.pad(values, ((1, 0), (1, 0)))
    padded[1:, 0] = padded[:-1, 1]  # left of a row: what is above its first value
    padded[0, 1:] = 0
    left, up, corner = padded[1:, :-1], padded[:-1, 1:], padded[:-1, :-1]
    low, high = np.minimum(left, up), np.maximum(left, up)
    return values - np.clip(left + up - corner, low, high)


def _values(residuals: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Undo `_residuals`; values stop at what no map holds: no payload can make them grow."""
    above = [0] * (residuals.shape[1] + 1)
    rows = []
    for line in residuals.tolist():
        row = [above[1]]
        for x, residual in enumerate(line, 1):
            left, up = row[x - 1], above[x]
            gradient = left + up - above[x - 1]
            predicted = min(max(gradient, min(left, up)), max(left, up))
            row.append(min(max(predicted + residual, -_VALUE_MAX), _VALUE_MAX))
        rows.append(row[1:])
        above = row
    return np.array(rows, np.int32)
