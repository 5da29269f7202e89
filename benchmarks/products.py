"""The networks' products: exact integer-valued form beside plain float32, and int8 where torch has it.

    python -m benchmarks.products [--width 128] [--positions 6240] [--threads 1] [--rounds 30]

One 1x1 layer of `width` channels over as many positions as a picture has at 1/8 resolution (6240: 832x480).
All forms are run in turn; the ratios are of the fastest rounds.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable

import torch

from benchmarks.in_turn import fastest_in_turn
from nvc.models.layers import Depthwise, Pointwise, ProductLayer


def layer_forms(layer: ProductLayer, x: torch.Tensor) -> dict[str, Callable[[], object]]:
    """Return a float and an exact run of one layer on x [1, h, w, c]."""
    exact = copy.deepcopy(layer)
    exact.observe = True
    exact(x)
    exact.observe = False
    exact.make_exact()
    return {"float32": lambda: layer(x), "exact": lambda: exact(x)}


def int8_product(width: int, positions: int) -> Callable[[], object]:
    """Return a bare int8 product with int32 sums, without scaling."""
    a = torch.randint(-127, 128, (positions, width), dtype=torch.int8)
    b = torch.randint(-127, 128, (width, width), dtype=torch.int8)
    return lambda: torch._int_mm(a, b)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.products")
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--positions", type=int, default=6240)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=30)
    wanted = parser.parse_args()
    torch.set_num_threads(wanted.threads)
    x = torch.randn(1, wanted.positions // 80 or 1, 80, wanted.width)
    positions = x.shape[1] * x.shape[2]
    with torch.inference_mode():
        for layer in (Pointwise(wanted.width, wanted.width), Depthwise(wanted.width)):
            forms = layer_forms(layer, x)
            products = positions * wanted.width * (9 if isinstance(layer, Depthwise) else wanted.width)
            if isinstance(layer, Pointwise):
                forms["int8 alone"] = int8_product(wanted.width, positions)
            times = fastest_in_turn(forms, wanted.rounds)
            print(f"{type(layer).__name__}, {wanted.width} channels, {positions} positions")
            for name, seconds in times.items():
                rate, ratio = products / seconds / 1e9, times["float32"] / seconds
                print(f"  {name:<12}{1000 * seconds:>9.3f} ms{rate:>9.1f} GMAC/s{ratio:>7.2f} x float32")


if __name__ == "__main__":
    main()
