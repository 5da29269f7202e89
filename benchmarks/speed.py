"""Coding speed of nvc beside x264 and x265, measured in turn on the same frames.

    python -m benchmarks.speed CLIP [--frames 33] [--rounds 3] [--model s] [--qp 32] [--threads 1]

Each round runs every codec once, so that a change of the machine's load meets all of them. Printed are the
fastest round's frames per second and each codec's ratio to nvc. x264 and x265 have one thread; give nvc
more with --threads.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nvc.bench import BenchCodec, Clip, make_nvc_codec, select_anchors
from nvc.bench.clip import load_clip

ANCHORS = ("x264_medium_ld", "x265_medium_ld")
_CRF = 28


@dataclass
class Speed:
    """Frames per second of one codec, one figure per round."""

    encode_fps: list[float]
    decode_fps: list[float]


def measure_speeds(clip: Clip, codecs: Sequence[tuple[BenchCodec, int]], rounds: int) -> dict[str, Speed]:
    """Code the clip with every codec in turn, `rounds` times, after one round that does not count."""
    speeds = {codec.name: Speed([], []) for codec, _ in codecs}
    for number in range(rounds + 1):
        for codec, qp in codecs:
            with tempfile.TemporaryDirectory() as folder:
                coded = codec.code(clip, qp, -1, Path(folder))
                n_frames = sum(1 for _ in coded.frames)
            if number:
                speeds[codec.name].encode_fps.append(n_frames / coded.encode.wall_s)
                speeds[codec.name].decode_fps.append(n_frames / coded.decode.wall_s)
    return speeds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed")
    parser.add_argument("clip", type=Path)
    parser.add_argument("--frames", type=int, default=33)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", default="s")
    parser.add_argument("--qp", type=int, default=32)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    wanted = parser.parse_args()
    own = make_nvc_codec(wanted.model, (wanted.qp,), "medium", wanted.device, wanted.threads)
    codecs: list[tuple[BenchCodec, int]] = [(own, wanted.qp)]
    codecs += [(codec, _CRF) for codec in select_anchors(ANCHORS)]
    with tempfile.TemporaryDirectory() as folder:
        clip = load_clip(wanted.clip, wanted.frames, Path(folder))
        print(f"{clip.name}: {clip.width}x{clip.height}, {clip.n_frames} frames", file=sys.stderr)
        speeds = measure_speeds(clip, codecs, wanted.rounds)
    nvc_encode, nvc_decode = max(speeds[own.name].encode_fps), max(speeds[own.name].decode_fps)
    print(f"{'codec':<18}{'encode fps':>12}{'x nvc':>8}{'decode fps':>12}{'x nvc':>8}")
    for name, speed in speeds.items():
        encode, decode = max(speed.encode_fps), max(speed.decode_fps)
        ratios = encode / nvc_encode, decode / nvc_decode
        print(f"{name:<18}{encode:>12.1f}{ratios[0]:>8.2f}{decode:>12.1f}{ratios[1]:>8.2f}")


if __name__ == "__main__":
    main()
