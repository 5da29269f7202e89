"""The entropy coder beside the ideal code length: its speed, and the bytes it loses.

    python -m benchmarks.entropy_coder [--symbols 40000] [--rounds 20]

Symbols are drawn from the tables' own distributions: a perfect coder would need the sum of -log2 p bits.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch

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


def fastest(action: Callable[[], object], rounds: int) -> float:
    """Return the shortest of `rounds` runs in seconds."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return min(times)


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
    encode_s = fastest(lambda: coder.encode([(symbols, rows)]), wanted.rounds)
    decode_s = fastest(decode, wanted.rounds)
    n, size = wanted.symbols, len(payload)
    print(f"{n} symbols in {size} bytes, ideal {bits / 8:.0f}: {size / (bits / 8):.4f} times")
    print(f"encode {1000 * encode_s:.2f} ms, {n / encode_s / 1e6:.1f} M symbols/s")
    print(f"decode {1000 * decode_s:.2f} ms, {n / decode_s / 1e6:.1f} M symbols/s")
    print(f"encode is {decode_s / encode_s:.2f} times as fast as decode")


if __name__ == "__main__":
    main()
