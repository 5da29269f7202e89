"""Fit the network of the importance map on a training cache.

    python -m nvc.importance.train --cache runs/cache [--clips 85] [--measured FILE] [--out FILE]

Clips of 320x256 and five frames, one of each source, are coded at five qps (ten seconds a clip), then the
network learns which offsets would have taken the fewest bits at an equal MS-SSIM. --measured keeps what
coding gave, so that fitting (a minute) can be repeated without it.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from nvc.importance import ImportanceNetwork, block_features, offsets_of
from nvc.importance.curves import QPS, measure_curves
from nvc.model_store import load_model
from nvc.roi import IMPORTANCE_TILE
from nvc.training.data import Bytes, Cache, ClipEntry

WIDTH, HEIGHT, N_FRAMES = 320, 256, 5
SHOWN_FRAME = 2  # whose features stand for the clip
SEED = 3
BASE_QPS = (18.0, 42.0)
OFFSET_MAX = 20.0
REPORTED_QPS = (20.0, 27.0, 34.0, 41.0)


@dataclass(frozen=True)
class Measured:
    """Clips: features [n, rows, columns, N_FEATURES], and bits and loss [n, len(QPS), rows, columns]."""

    features: Tensor
    bits: Tensor
    loss: Tensor


NAMES = tuple(Measured.__dataclass_fields__)


def sample_clips(cache: Cache) -> Iterator[tuple[Bytes, Bytes, Bytes]]:
    """One random crop and place of one clip of each source, Y, U and V."""
    rng = np.random.default_rng(SEED)
    by_source: dict[str, list[ClipEntry]] = {}
    for entry in cache.training:
        if entry.n_frames > N_FRAMES and min(entry.width, entry.height) >= HEIGHT:
            by_source.setdefault(entry.source, []).append(entry)
    sources = sorted(by_source)
    rng.shuffle(sources)
    for source in sources:
        entry = by_source[source][rng.integers(len(by_source[source]))]
        width = min(entry.width, WIDTH) // 64 * 64
        x = int(rng.integers((entry.width - width) // 2 + 1)) * 2
        y = int(rng.integers((entry.height - HEIGHT) // 2 + 1)) * 2
        planes = cache.frames(entry, int(rng.integers(entry.n_frames - N_FRAMES + 1)), N_FRAMES)
        window = [
            np.ascontiguousarray(p[:, y >> s : (y + HEIGHT) >> s, x >> s : (x + width) >> s])
            for p, s in zip(planes, (0, 1, 1), strict=True)
        ]
        if width == WIDTH:
            yield window[0], window[1], window[2]


def measure(cache: Cache, model_name: str) -> Iterator[Measured]:
    """Code the clips, one at a time."""
    model = load_model(model_name)
    for y, u, v in sample_clips(cache):
        features, curves = torch.from_numpy(block_features(y[SHOWN_FRAME])), measure_curves(model, y, u, v)
        yield Measured(features[None], curves.bits[None], curves.loss[None])


def at_qp(curves: Tensor, qp: Tensor) -> Tensor:
    """Values of curves [n, len(QPS), rows, columns] at qp [n, rows, columns]: Catmull-Rom splines."""
    position = ((qp - QPS[0]) / (QPS[1] - QPS[0])).expand_as(curves[:, 0])
    below = position.detach().floor().clamp(0, len(QPS) - 2).long()
    t = position - below
    first, last = 2 * curves[:, :1] - curves[:, 1:2], 2 * curves[:, -1:] - curves[:, -2:-1]
    padded = torch.cat([first, curves, last], 1)
    p0, p1, p2, p3 = (padded.gather(1, (below + k)[:, None])[:, 0] for k in range(4))
    slope_1, slope_2 = (p2 - p0) / 2, (p3 - p1) / 2
    s = t.clamp(0, 1)
    inside = (
        (2 * s**3 - 3 * s**2 + 1) * p1
        + (s**3 - 2 * s**2 + s) * slope_1
        + (3 * s**2 - 2 * s**3) * p2
        + (s**3 - s**2) * slope_2
    )
    return inside + (t - s) * torch.where(t < 0, slope_1, slope_2)


def saved_bits(measured: Measured, base_qp: Tensor, offsets: Tensor) -> Tensor:
    """Share of each clip's bits that a map saves at equal MS-SSIM, to first order; [n].

    base_qp: [n], qp without the map. offsets: [n, rows, columns]. Loss is exchanged for bits as the clip's
    own curve does at base_qp.
    """
    qp = base_qp[:, None, None]
    bits, loss = (x.sum((2, 3), keepdim=True) for x in (measured.bits, measured.loss))
    exchange = (at_qp(bits, qp + 3) - at_qp(bits, qp - 3)) / (at_qp(loss, qp + 3) - at_qp(loss, qp - 3))
    more_loss = at_qp(measured.loss, qp + offsets).sum((1, 2), keepdim=True) - at_qp(loss, qp)
    more_bits = at_qp(measured.bits, qp + offsets).sum((1, 2), keepdim=True) - at_qp(bits, qp)
    return ((exchange * more_loss - more_bits) / at_qp(bits, qp))[:, 0, 0]


def on_tiles(offsets: Tensor) -> Tensor:
    """Even out maps [n, rows, columns] as nvc.roi.Tiles does, but for its steps."""
    _, rows, columns = offsets.shape
    tiles = F.avg_pool2d(offsets[:, None], IMPORTANCE_TILE, ceil_mode=True)
    return tiles.repeat_interleave(IMPORTANCE_TILE, 2).repeat_interleave(IMPORTANCE_TILE, 3)[
        :, 0, :rows, :columns
    ]


def fit(measured: Measured, n_steps: int) -> ImportanceNetwork:
    """Train on all clips at once, at random qps."""
    torch.manual_seed(SEED)
    network = ImportanceNetwork()
    optimiser = torch.optim.AdamW(network.parameters(), 1e-2, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, n_steps)
    low, high = BASE_QPS
    for _ in range(n_steps):
        offsets = on_tiles(offsets_of(network, measured.features)).clamp(-OFFSET_MAX, OFFSET_MAX)
        base_qp = low + (high - low) * torch.rand(len(offsets))
        optimiser.zero_grad()
        (-saved_bits(measured, base_qp, offsets).mean()).backward()
        optimiser.step()
        schedule.step()
    return network


def report(measured: Measured, network: ImportanceNetwork) -> float:
    """Mean share of bits saved, over the clips and a few qps."""
    with torch.no_grad():
        offsets = on_tiles(offsets_of(network, measured.features))
        shares = [saved_bits(measured, torch.full((len(offsets),), qp), offsets) for qp in REPORTED_QPS]
        return float(torch.stack(shares).mean())


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--cache", type=Path, required=True, help="a folder that nvc train has packed")
    parser.add_argument("--clips", type=int, default=85)
    parser.add_argument("--model", default="s")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--measured", type=Path, help="keep measurements here, or take them from there")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("ms-ssim.safetensors"))
    wanted = parser.parse_args(arguments)
    if wanted.measured and wanted.measured.exists():
        with np.load(wanted.measured) as file:
            measured = Measured(*(torch.from_numpy(file[name]) for name in NAMES))
    else:
        clips = []
        for clip in islice(measure(Cache(wanted.cache), wanted.model), wanted.clips):
            clips.append(clip)
            print(f"measured {len(clips)} clips", flush=True)
        measured = Measured(*(torch.cat([vars(clip)[name] for clip in clips]) for name in NAMES))
        if wanted.measured:
            np.savez(wanted.measured, **{name: x.numpy() for name, x in vars(measured).items()})
    network = fit(measured, wanted.steps)
    save_file(network.state_dict(), wanted.out)
    n = len(measured.bits)
    print(f"{wanted.out}: fitted to {n} clips, saves {100 * report(measured, network):.1f} % of their bits")


if __name__ == "__main__":
    main()
