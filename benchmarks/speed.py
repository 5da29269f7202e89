"""Coding speed of nvc: beside x264 and x265 on a clip, or with and without its compiled kernels.

    python -m benchmarks.speed CLIP [--frames 33] [--rounds 3] [--model s] [--qp 32] [--threads 1]
    python -m benchmarks.speed [--frames 33] [--sizes 416x240,1280x720] [--model s] [--qp 32] [--threads 2]
                               [--kernels-only]

With a clip, each round runs every codec once, so that a change of the machine's load meets all of them.
Printed are the fastest round's frames per second and each codec's ratio to nvc. x264 and x265 have one
thread; give nvc more with --threads.

Without one, whole commands code made-up clips, in turn with kernels and without (NVC_KERNELS=0). A command's
start is what it takes for one frame; frames per second and processor time per frame are of the frames after.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from nvc.bench import BenchCodec, Clip, make_nvc_codec, select_anchors
from nvc.bench.clip import load_clip
from nvc.bench.stopwatch import Stopwatch
from nvc.media import VideoInfo, open_output
from nvc.media.synthetic import natural_clip

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


@dataclass(frozen=True)
class Cost:
    """What a command takes: seconds to its first frame, then per frame; highest memory."""

    start_s: float
    fps: float
    cpu_ms: float
    peak_mib: float


def measure_command(options: list[str], n_frames: int, folder: Path, kernels: str) -> Cost:
    """Run `nvc` with these options for one frame and for n_frames, after a run that fills caches."""
    watches = Stopwatch(), Stopwatch(), Stopwatch()
    command = ["env", f"NVC_KERNELS={kernels}", sys.executable, "-m", "nvc_cli", *options, "-y", "--quiet"]
    for watch, n in zip(watches, (2, 1, n_frames), strict=True):
        watch.run([*command, "-n", str(n)], folder / "log", 3600)
    _, first, all_ = watches
    after = n_frames - 1
    return Cost(
        start_s=first.wall_s,
        fps=after / max(all_.wall_s - first.wall_s, 1e-9),
        cpu_ms=1000 * (all_.cpu_s - first.cpu_s) / after,
        peak_mib=all_.peak_mib or 0.0,
    )


def compare_kernels(
    sizes: str, n_frames: int, options: list[str], quality: list[str], kernels: tuple[str, ...]
) -> None:
    """Print what encoding and decoding cost at each size, with kernels and without if both are wanted."""
    print(
        f"{'size':<11}{'command':<8}{'kernels':<9}{'fps':>8}{'ratio':>7}{'cpu ms':>9}{'start s':>9}{'MiB':>7}"
    )
    for size in sizes.split(","):
        width, height = map(int, size.split("x"))
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            source, stream, decoded = folder / "clip.y4m", folder / "clip.nvc", folder / "clip.mp4"
            write_clip(source, width, height, n_frames)
            commands = {
                "encode": ["encode", str(source), str(stream), *quality, *options],
                "decode": ["decode", str(stream), str(decoded), *options],
            }
            for verb, command in commands.items():
                costs = {choice: measure_command(command, n_frames, folder, choice) for choice in kernels}
                base = costs[kernels[0]]
                for choice, cost in costs.items():
                    label = "yes" if choice == "1" else "no"
                    print(
                        f"{size:<11}{verb:<8}{label:<9}{cost.fps:>8.1f}{cost.fps / base.fps:>7.2f}"
                        f"{cost.cpu_ms:>9.1f}{cost.start_s:>9.2f}{cost.peak_mib:>7.0f}",
                        flush=True,
                    )


def write_clip(path: Path, width: int, height: int, n_frames: int) -> None:
    """Write a moving scene, played forth and back, so that large ones are made soon."""
    frames = natural_clip(width, height, min(n_frames, 9), seed=1)
    road = [*range(len(frames)), *range(len(frames) - 2, 0, -1)]
    with open_output(path, VideoInfo(width, height, Fraction(1, 25), Fraction(25))) as writer:
        for index in range(n_frames):
            writer.write(replace(frames[road[index % len(road)]], pts=index))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed")
    parser.add_argument("clip", type=Path, nargs="?")
    parser.add_argument("--sizes", default="352x288,416x240,1280x720,1920x1080")
    parser.add_argument("--frames", type=int, default=33)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", default="s")
    parser.add_argument("--qp", type=int, default=32)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--kernels-only", action="store_true", help="Do not measure without kernels.")
    wanted = parser.parse_args()
    if wanted.clip is None:
        running = ["--threads", str(wanted.threads), "--device", wanted.device]
        quality = ["--model", wanted.model, "--qp", str(wanted.qp)]
        kernels = ("1",) if wanted.kernels_only else ("0", "1")
        compare_kernels(wanted.sizes, wanted.frames, running, quality, kernels)
        return
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
