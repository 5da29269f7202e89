"""What a change brings on clips that were held back from training: BD-rates between two runs of this.

    python -m benchmarks.held_out runs/cache before.json
    python -m benchmarks.held_out runs/cache after.json --beside before.json [--weights FILE] [--last]
        [--set nvc.filter_search.STEADINESS=50]...

The cache is a training run's folder of packed clips; of each source held back, the first clip (--last: the
last one) of enough frames is encoded at a few qp, as one GOP. The trials in training/README.md are such runs:
bits of all frames at equal PSNR (6:1:1), negative where the second run needs fewer.
"""

from __future__ import annotations

import argparse
import importlib
import json
from ast import literal_eval
from pathlib import Path
from statistics import mean

import bjontegaard

from nvc.config import EncoderConfig
from nvc.encoder import Encoder
from nvc.frames import Frame
from nvc.training.data import Cache, ClipEntry

Points = list[tuple[float, float]]
"""Of each qp: bits per luma pixel, and the mean of the frames' PSNR in dB."""


def chosen_clips(cache: Cache, n_frames: int, *, last: bool) -> list[ClipEntry]:
    """One clip of each source that was held back."""
    long_enough = [entry for entry in cache.validation if entry.n_frames >= n_frames]
    by_source = {entry.source: entry for entry in (long_enough if last else reversed(long_enough))}
    return [by_source[source] for source in sorted(by_source)]


def encode(cache: Cache, entry: ClipEntry, n_frames: int, qp: int, weights: str) -> tuple[float, float]:
    """Encode the first frames of a clip."""
    config = EncoderConfig(model=weights, qp=qp, threads=1, keyint=-1, scene_cut=False)
    encoder = Encoder(config, entry.width, entry.height)
    planes = zip(*cache.frames(entry, 0, n_frames), strict=True)
    results = [encoder.encode(Frame(*p, pts=pts, duration=1)).result for pts, p in enumerate(planes)]
    n_pixels = entry.width * entry.height * n_frames
    bpp = 8 * sum(result.size_bytes for result in results) / n_pixels
    return bpp, mean(result.psnr_db for result in results)


def bd_rate(before: Points, after: Points) -> float:
    """Per cent of bits."""
    curves = [list(values) for points in (before, after) for values in zip(*points, strict=True)]
    options = {"require_matching_points": False, "min_overlap": 0}
    return float(bjontegaard.bd_rate(*curves, method="pchip", **options))


def main() -> None:
    """Encode, keep the points, and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.held_out")
    parser.add_argument("cache", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--beside", type=Path)
    parser.add_argument("--weights", default="s")
    parser.add_argument("--frames", type=int, default=33)
    parser.add_argument("--qps", default="14,24,34")
    parser.add_argument("--last", action="store_true")
    parser.add_argument("--set", action="append", default=[], metavar="MODULE.NAME=VALUE")
    wanted = parser.parse_args()
    for setting in wanted.set:
        name, value = setting.split("=")
        module, attribute = name.rsplit(".", 1)
        setattr(importlib.import_module(module), attribute, literal_eval(value))
    cache = Cache(wanted.cache)
    found: dict[str, Points] = {}
    for entry in chosen_clips(cache, wanted.frames, last=wanted.last):
        qps = map(int, wanted.qps.split(","))
        found[entry.name] = [encode(cache, entry, wanted.frames, qp, wanted.weights) for qp in qps]
    wanted.out.write_text(json.dumps(found, indent=1) + "\n")
    if wanted.beside is not None:
        before = json.loads(wanted.beside.read_text())
        rates = {name: bd_rate(before[name], points) for name, points in found.items()}
        for name, rate in rates.items():
            print(f"{rate:+6.1f} %  {name}")
        print(f"{mean(rates.values()):+6.2f} %  mean")


if __name__ == "__main__":
    main()
