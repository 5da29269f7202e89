"""The entropy coder beside the ideal code length and zlib: its speed, and the bytes it loses.

    python -m benchmarks.entropy_coder [--symbols 40000] [--rounds 20]

Symbols are drawn from the tables' own distributions: a perfect coder would need the sum of -log2 p bits. zlib
gets the same symbols as 16-bit words, without their distributions. All are timed in turn; the fastest rounds
count.
"""

from __future__ import annotations

import argparse
import zlib

import numpy as np
import torch

from benchmarks.in_turn import fastest_in_turn
from nvc.entropy.rans import RansCoder
from nvc.entropy.tables import PRECISION, CdfTables, laplace_tables
from nvc.models.quantiser import scale_table


def draw(tables: CdfTables, n_symbols: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, float]:
    """Return symbols and their table rows, int32 [n], and the ideal length in bits; no escapes."""
    rng = np.random.default_rng(seed)
    cdfs, offsets = tables.cdfs(), tables.offsets()
    rows = rng.integers(0, len(cdfs), n_symbols)
    symbols = np.empty(n_symbols, np.int64)
    bits = 0.0
    for row, (cdf, offset) in enumerate(zip(cdfs, offsets, strict=True)):
        mine = np.flatnonzero(rows == row)
        inside = np.array(cdf[:-1])  # the last interval is the escape's
        drawn = np.searchsorted(inside, rng.integers(0, inside[-1], len(mine)), side="right") - 1
        symbols[mine] = drawn + offset
        bits -= float(np.log2(np.diff(inside)[drawn] / (1 << PRECISION)).sum())
    return torch.from_numpy(symbols).int(), torch.from_numpy(rows).int(), bits


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.entropy_coder")
    parser.add_argument("--symbols", type=int, default=40000)
    parser.add_argument("--rounds", type=int, default=20)
    wanted = parser.parse_args()
    tables = laplace_tables(scale_table())
    coder = RansCoder(tables)
    symbols, rows, bits = draw(tables, wanted.symbols)
    payload = coder.encode([(symbols, rows)])

    def decode() -> torch.Tensor:
        decoder = coder.decoder(payload)
        decoder.expect(len(rows))
        return decoder.pop(rows)

    if not torch.equal(decode(), symbols):
        raise SystemExit("the decoded symbols differ")
    words = symbols.numpy().astype("<i2").tobytes()
    squeezed = zlib.compress(words)
    times = fastest_in_turn(
        {
            "encode": lambda: coder.encode([(symbols, rows)]),
            "decode": decode,
            "zlib encode": lambda: zlib.compress(words),
            "zlib decode": lambda: zlib.decompress(squeezed),
        },
        wanted.rounds,
    )
    n, ideal = wanted.symbols, bits / 8
    print(f"{n} symbols, ideal {ideal:.0f} bytes")
    print(f"nvc  {len(payload):>7} bytes, {len(payload) / ideal:.4f} x ideal")
    print(f"zlib {len(squeezed):>7} bytes, {len(squeezed) / ideal:.4f} x ideal")
    for name, seconds in times.items():
        rate, ratio = n / seconds / 1e6, times["decode"] / seconds
        print(f"{name:<12}{1000 * seconds:>8.2f} ms{rate:>8.1f} M symbols/s{ratio:>8.2f} x decode")


if __name__ == "__main__":
    main()
