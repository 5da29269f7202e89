"""Decoding speed beside CompressAI's ssf2020 (scale-space flow) with random weights, in one run.

    python -m benchmarks.ssf2020 [--sizes 416x240,1280x720] [--frames 65] [--rounds 3] [--model s] [--qp 32]
                                 [--threads 2]

In each round ssf2020 decodes one P frame of its own, networks and entropy decoder, in this process; then
`nvc decode` decodes the clip as a command, of which the frames after the first count. ssf2020 wants sides
that are multiples of 128 and gets the next larger ones. Printed are the fastest rounds. With few frames, what
a start takes more or less drowns them.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.markdown import table
from benchmarks.speed import measure_command, write_clip

_SIDE = 128


def ssf2020_decoder(width: int, height: int) -> Callable[[], object]:
    """What decodes a P frame of noise that ssf2020 has coded."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of compressai about newer torch
        from compressai.models.video import ScaleSpaceFlow
    torch.manual_seed(0)
    model = ScaleSpaceFlow().eval()
    model.update()
    padded = -(-height // _SIDE) * _SIDE, -(-width // _SIDE) * _SIDE
    frames = torch.rand(2, 1, 3, *padded)
    with torch.no_grad():
        reference, _ = model.encode_keyframe(frames[0])
        _, coded = model.encode_inter(frames[1], reference)

    @torch.no_grad()
    def decode() -> object:
        return model.decode_inter(reference, coded["strings"], coded["shape"])

    return decode


def compare(size: str, n_frames: int, rounds: int, model: str, qp: int, threads: int) -> list[str]:
    """One row: size, frames per second of both, and their ratio."""
    width, height = map(int, size.split("x"))
    decode = ssf2020_decoder(width, height)
    ssf_fps, nvc_fps = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source, stream, decoded = folder / "clip.y4m", folder / "clip.nvc", folder / "clip.mp4"
        write_clip(source, width, height, n_frames)
        running = ["--threads", str(threads)]
        encoding = ["encode", str(source), str(stream), "--model", model, "--qp", str(qp), *running]
        measure_command(encoding, n_frames, folder, "1")
        decoding = ["decode", str(stream), str(decoded), *running]
        for number in range(rounds + 1):
            start = time.perf_counter()
            decode()
            seconds = time.perf_counter() - start
            fps = measure_command(decoding, n_frames, folder, "1").fps
            if number:  # the first round fills caches
                ssf_fps.append(1 / seconds)
                nvc_fps.append(fps)
    best, other = max(nvc_fps), max(ssf_fps)
    return [size, f"{other:.2f}", f"{best:.1f}", f"{best / other:.1f}"]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ssf2020")
    parser.add_argument("--sizes", default="416x240,1280x720")
    parser.add_argument("--frames", type=int, default=65)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", default="s")
    parser.add_argument("--qp", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    wanted = parser.parse_args()
    torch.set_num_threads(wanted.threads)
    rows = [
        compare(size, wanted.frames, wanted.rounds, wanted.model, wanted.qp, wanted.threads)
        for size in wanted.sizes.split(",")
    ]
    print(table([["size", "ssf2020 fps", "nvc fps", "ratio"], *rows]))


if __name__ == "__main__":
    main()
