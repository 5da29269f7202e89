"""Encode and decode a long video through pipes and watch the memory of both commands.

    python benchmarks/long_run.py [--frames 20000] [--model tiny] [--jobs 1] [--out benchmarks/results]

A clip of 500 frames of 64x48, lighter or darker each time it comes round, is written to `nvc encode - -`,
whose stream goes to `nvc decode - -`, which compares every frame's checksum. The resident memory of both,
workers included, is sampled every 500 frames. Writes long_run.csv and long_run.md. Exits with 1 if a frame
is missing, a command fails, or memory in the last quarter is over that of the second by more than 10 %.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import BinaryIO

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from nvc.media.synthetic import natural_clip  # noqa: E402

WIDTH, HEIGHT, N_CLIP = 64, 48, 500
FRAME_BYTES = WIDTH * HEIGHT * 3 // 2 + len(b"FRAME\n")
SAMPLE_EVERY = 500
MIB = 2**20


def write_video(pipe: BinaryIO, n_frames: int) -> None:
    clip = natural_clip(WIDTH, HEIGHT, N_CLIP, seed=5)
    with pipe:
        pipe.write(f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F25:1 Ip A1:1 C420jpeg\n".encode())
        for index in range(n_frames):
            frame = clip[index % N_CLIP]
            lift = index // N_CLIP * 7 % 40 - 20
            y = np.clip(frame.y.astype(np.int16) + lift, 0, 255).astype(np.uint8)
            pipe.write(b"FRAME\n" + y.tobytes() + frame.u.tobytes() + frame.v.tobytes())


def resident_mib(pid: int) -> float:
    """Resident memory of a process and its children; 0 if it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return 0.0
    own = next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")), 0)
    return own * 1024 / MIB + sum(resident_mib(int(child)) for child in children)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=20_000)
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    options = parser.parse_args()
    command = [sys.executable, "-m", "nvc_cli"]
    running = ["--threads", "1", "--jobs", str(options.jobs)]
    encode = subprocess.Popen(
        [*command, "encode", "-", "-", "--model", options.model, *running],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    decode = subprocess.Popen(
        [*command, "decode", "-", "-", *running],
        stdin=encode.stdout,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    pipes = encode.stdin, encode.stdout, encode.stderr, decode.stdout, decode.stderr
    assert None not in pipes
    encode.stdout.close()  # the decoder's copy is the only one left, so that it sees the end
    writer = threading.Thread(target=write_video, args=(encode.stdin, options.frames), daemon=True)
    began = time.monotonic()
    writer.start()
    decode.stdout.readline()
    rows = []
    n_frames = 0
    while len(decode.stdout.read(FRAME_BYTES)) == FRAME_BYTES:
        n_frames += 1
        if n_frames % SAMPLE_EVERY == 0:
            seconds = time.monotonic() - began
            rows.append(
                (
                    n_frames,
                    f"{seconds:.0f}",
                    f"{resident_mib(encode.pid):.1f}",
                    f"{resident_mib(decode.pid):.1f}",
                )
            )
            print(*rows[-1], flush=True)
    endings = encode.wait(), decode.wait()
    seconds = time.monotonic() - began
    said = [pipe.read().decode().strip().splitlines()[-1] for pipe in (encode.stderr, decode.stderr)]
    options.out.mkdir(parents=True, exist_ok=True)
    with (options.out / "long_run.csv").open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("frames_decoded", "seconds", "encode_rss_mib", "decode_rss_mib"))
        table.writerows(rows)
    growth = [_growth([float(row[column]) for row in rows]) for column in (2, 3)]
    good = endings == (0, 0) and n_frames == options.frames and max(growth) < 1.1
    report = [
        f"# {options.frames} frames of {WIDTH}x{HEIGHT} through `nvc encode - - | nvc decode - -`",
        "",
        f"`python benchmarks/long_run.py --frames {options.frames} --model {options.model} "
        f"--jobs {options.jobs}`",
        "",
        f"* {n_frames} frames came out in {seconds:.0f} s; exit codes {endings[0]} and {endings[1]}.",
        f"* encode: {said[0]}",
        f"* decode: {said[1]}",
        f"* highest resident memory, last quarter of the run against the second: encode {growth[0]:.3f}, "
        f"decode {growth[1]:.3f} (1 is flat).",
        f"* verdict: {'good' if good else 'BAD'}",
        "",
        "| frames | seconds | encode MiB | decode MiB |",
        "|---:|---:|---:|---:|",
        *("| " + " | ".join(map(str, row)) + " |" for row in rows[:: max(1, len(rows) // 10)]),
    ]
    (options.out / "long_run.md").write_text("\n".join(report) + "\n")
    print("\n".join(report[4:9]))
    return 0 if good else 1


def _growth(values: list[float]) -> float:
    quarter = len(values) // 4
    return max(values[-quarter:]) / max(values[quarter : 2 * quarter]) if quarter else 1.0


if __name__ == "__main__":
    sys.exit(main())
