"""What exactness costs: the float networks of a training run beside the exact ones made of them.

    python -m benchmarks.float_exact RUN WEIGHTS CLIP... [--frames 17] [--qps 6,18,30,42]

Both code the same frames with the same rounding and decode them again; sizes are of real payloads. Prints
each clip's BD-rate of exact against float (PSNR 6:1:1) and both speeds, measured in turn. Checksums are not
compared: that float pictures may differ from the encoder's is why streams are not coded with them.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from pathlib import Path
from statistics import mean

import bjontegaard
import torch

import nvc.decoder
import nvc.encoder
from bitstream_spec import StreamHeader
from nvc.config import EncoderConfig
from nvc.decoder import Decoder
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


def code(model: Model, frames: list[Frame], qp: int) -> tuple[int, float, float, float]:
    """Bytes of all payloads, mean PSNR, seconds of encoding and of decoding."""
    nvc.encoder.load_model = lambda *_: model
    began = time.perf_counter()
    config = EncoderConfig(qp=qp, keyint=-1, scene_cut=False, threads=1)
    encoder = Encoder(config, frames[0].width, frames[0].height)
    coded = [encoder.encode(frame) for frame in frames]
    encoded = time.perf_counter()
    nvc.decoder.load_model = lambda *_: model
    header = StreamHeader(
        model_id=encoder.model_id,
        model_name=encoder.model_name,
        width=frames[0].width,
        height=frames[0].height,
        time_base=Fraction(1, 25),
    )
    decoder = Decoder(header, threads=1, verify=False)
    for c in coded:
        decoder.decode(c.packet)
    decoded = time.perf_counter()
    size = sum(len(part.payload) for c in coded for part in c.packet.substreams)
    return size, mean(psnr_yuv_db(c.psnr_db) for c in coded), encoded - began, decoded - encoded


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
        seconds = {name: [0.0, 0.0] for name in models}
        for qp in map(int, options.qps.split(",")):
            for name, model in models.items():
                size, psnr, *took = code(model, frames, qp)
                curves[name].append((size, psnr))
                seconds[name] = [a + b for a, b in zip(seconds[name], took, strict=True)]
        (r1, p1), (r2, p2) = (zip(*sorted(curve), strict=True) for curve in curves.values())
        rate = bjontegaard.bd_rate(r1, p1, r2, p2, method="akima", require_matching_points=False)
        encode, decode = (f / e for f, e in zip(*(seconds[name] for name in models), strict=True))
        print(
            f"{clip.stem}: exact against float {rate:+.2f} % bits, {encode:.2f} times its encoding speed, "
            f"{decode:.2f} times its decoding speed"
        )


if __name__ == "__main__":
    main()
