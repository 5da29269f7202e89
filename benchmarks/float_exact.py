"""What exactness costs: the float networks of a training run beside the exact ones made of them.

    python -m benchmarks.float_exact RUN WEIGHTS CLIP... [--frames 17] [--qps 6,18,30,42]

Both code the same frames with the same rounding; sizes are of real payloads. Prints each clip's BD-rate of
exact against float (PSNR 6:1:1) and both speeds, measured in turn.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from itertools import islice
from pathlib import Path
from statistics import mean

import bjontegaard
import torch

import nvc.encoder
from nvc.config import EncoderConfig
from nvc.encoder import Encoder
from nvc.frames import Frame
from nvc.media import open_video
from nvc.metrics import psnr_yuv_db
from nvc.model_store import Model, load_model
from nvc.models.codec import Codec
from nvc.models.config import CodecConfig
from nvc.training.checkpoint import read_checkpoint, set_parameters

Curve = list[tuple[float, float]]


def float_model(run: Path, exact: Model) -> Model:
    """The float networks of a run with the exact model's entropy coder."""
    state = read_checkpoint(run / "checkpoint")
    if state is None:
        raise SystemExit(f"{run} holds no checkpoint")
    codec = Codec(CodecConfig(**exact.entry.config))
    set_parameters(codec, state["average"])
    return replace(exact, codec=codec.requires_grad_(False))


def code(model: Model, frames: list[Frame], qp: int) -> tuple[int, float, float]:
    """Bytes of all payloads, mean PSNR, seconds."""
    nvc.encoder.load_model = lambda *_: model
    began = time.perf_counter()
    config = EncoderConfig(qp=qp, keyint=-1, scene_cut=False, threads=1)
    encoder = Encoder(config, frames[0].width, frames[0].height)
    coded = [encoder.encode(frame) for frame in frames]
    seconds = time.perf_counter() - began
    size = sum(len(part.payload) for c in coded for part in c.packet.substreams)
    return size, mean(psnr_yuv_db(c.psnr_db) for c in coded), seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("weights")
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--frames", type=int, default=17)
    parser.add_argument("--qps", default="6,18,30,42")
    options = parser.parse_args()
    torch.set_grad_enabled(False)
    exact = load_model(options.weights)
    models = {"float": float_model(options.run, exact), "exact": exact}
    for clip in options.clips:
        with open_video(clip) as video:
            frames = list(islice((f for f in video if isinstance(f, Frame)), options.frames))
        curves: dict[str, Curve] = {name: [] for name in models}
        seconds = dict.fromkeys(models, 0.0)
        for qp in map(int, options.qps.split(",")):
            for name, model in models.items():
                size, psnr, took = code(model, frames, qp)
                curves[name].append((size, psnr))
                seconds[name] += took
        (r1, p1), (r2, p2) = (zip(*sorted(curve), strict=True) for curve in curves.values())
        rate = bjontegaard.bd_rate(r1, p1, r2, p2, method="akima", require_matching_points=False)
        speed = seconds["float"] / seconds["exact"]
        print(f"{clip.stem}: exact against float {rate:+.2f} % bits, {speed:.2f} times its encoding speed")


if __name__ == "__main__":
    main()
