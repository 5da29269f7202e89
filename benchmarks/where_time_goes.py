"""Where the time of coding goes, stage by stage, in this process on one thread.

    python -m benchmarks.where_time_goes [--sizes 416x240,1280x720] [--frames 8] [--model s] [--qp 32]

Made-up clips are encoded and decoded under Python's profiler, which itself slows what is many small calls.
Printed are milliseconds of a P frame: of each stage, of all, and how much of all is spent in compiled
kernels. Stages do not overlap; what is left of all is reading, padding, checksums and errors.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import PurePath
from typing import Any

from benchmarks.markdown import table
from bitstream_spec import FramePacket, StreamHeader
from nvc import Decoder, Encoder, EncoderConfig, Frame
from nvc.media.synthetic import natural_clip

# File and function of each stage, as the profiler names them.
STAGES = {
    "flow between source frames": ("encoder.py", "plan"),
    "motion search": ("motion_search.py", "search"),
    "vectors, with their last word": ("codec.py", "code_vectors"),
    "golden pictures": ("codec.py", "code_golden_use"),
    "warping and contexts": ("codec.py", "predict"),
    "analysis, choice of modes": ("picture_coder.py", "prepare"),
    "latent, with its entropy model": ("picture_coder.py", "code_latent"),
    "synthesis": ("picture_coder.py", "synthesise"),
    "adaptive filter, with its fit": ("codec.py", "_filter"),
}
_FIRST_P_FRAMES = 2  # in which kernels are loaded and references fill


def profiled(step: Callable[[Any], object], items: Sequence[Any]) -> dict[str, float]:
    """Milliseconds of each stage, of all, and of kernels, a call of `step`; the first items do not count."""
    for item in items[: 1 + _FIRST_P_FRAMES]:
        step(item)
    profile = cProfile.Profile()
    counted = items[1 + _FIRST_P_FRAMES :]
    profile.enable()
    for item in counted:
        step(item)
    profile.disable()
    stats: Any = pstats.Stats(profile)
    found = dict.fromkeys([*STAGES, "all", "in kernels"], 0.0)
    for (path, _, name), (_, _, own_s, total_s, _) in stats.stats.items():
        own_ms, total_ms = (1000 * seconds / len(counted) for seconds in (own_s, total_s))
        found["all"] += own_ms
        place = PurePath(path)
        if place.parent.name == "kernels" and name.startswith("_") and place.stem != "__init__":
            found["in kernels"] += own_ms
        for stage, wanted in STAGES.items():
            if (place.name, name) == wanted and place.parent.name in ("nvc", "models"):
                found[stage] += total_ms
    return found


def measure(size: str, n_frames: int, model: str, qp: int) -> tuple[dict[str, float], dict[str, float]]:
    """What encoding and decoding a clip of this size takes."""
    width, height = map(int, size.split("x"))
    frames: list[Frame] = list(natural_clip(width, height, 1 + _FIRST_P_FRAMES + n_frames, seed=1))
    encoder = Encoder(EncoderConfig(model=model, qp=qp, threads=1, scene_cut=False), width, height)
    packets: list[FramePacket] = []
    encoding = profiled(lambda frame: packets.append(encoder.encode(frame).packet), frames)
    header = StreamHeader(encoder.model_id, encoder.model_name, width, height, Fraction(1, 25))
    return encoding, profiled(Decoder(header, threads=1).decode, packets)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.where_time_goes")
    parser.add_argument("--sizes", default="416x240,1280x720,1920x1080")
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--model", default="s")
    parser.add_argument("--qp", type=int, default=32)
    wanted = parser.parse_args()
    sizes = wanted.sizes.split(",")
    found = [measure(size, wanted.frames, wanted.model, wanted.qp) for size in sizes]
    head = ["ms of a P frame", *(f"{size}, {verb}" for size in sizes for verb in ("encode", "decode"))]
    rows = [
        [stage, *("" if not ms[stage] else f"{ms[stage]:.1f}" for both in found for ms in both)]
        for stage in [*STAGES, "all", "in kernels"]
    ]
    print(table([head, *rows]))


if __name__ == "__main__":
    main()
