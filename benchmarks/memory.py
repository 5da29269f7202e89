"""Peak memory of whole commands by the length of the video: it must not grow with it.

    python -m benchmarks.memory [--size 1920x1080] [--frames 30,600] [--model s] [--qp 34] [--threads 2]

A made-up clip is encoded and decoded at each length. Printed are the highest resident set of each command,
torch and all other libraries included, and its frames per second, start included.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.markdown import table
from benchmarks.speed import write_clip
from nvc.bench.stopwatch import Stopwatch


def measure(size: str, n_frames: int, quality: list[str], running: list[str]) -> list[str]:
    """One row: frames, and for encoding and decoding MiB and frames per second."""
    width, height = map(int, size.split("x"))
    row = [str(n_frames)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source, stream, decoded = folder / "clip.y4m", folder / "clip.nvc", folder / "clip.mp4"
        write_clip(source, width, height, n_frames)
        for command in (
            ["encode", str(source), str(stream), *quality],
            ["decode", str(stream), str(decoded)],
        ):
            watch = Stopwatch()
            watch.run([sys.executable, "-m", "nvc_cli", *command, *running, "--quiet"], folder / "log", 7200)
            row += [f"{watch.peak_mib or 0:.0f}", f"{n_frames / watch.wall_s:.2f}"]
    return row


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory")
    parser.add_argument("--size", default="1920x1080")
    parser.add_argument("--frames", default="30,600")
    parser.add_argument("--model", default="s")
    parser.add_argument("--qp", type=int, default=34)
    parser.add_argument("--threads", type=int, default=2)
    wanted = parser.parse_args()
    quality = ["--model", wanted.model, "--qp", str(wanted.qp)]
    rows = [
        measure(wanted.size, int(n), quality, ["--threads", str(wanted.threads)])
        for n in wanted.frames.split(",")
    ]
    print(table([["frames", "encode MiB", "encode fps", "decode MiB", "decode fps"], *rows]))


if __name__ == "__main__":
    main()
