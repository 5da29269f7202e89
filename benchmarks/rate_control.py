"""Measure how well targets are met, on whole clips.

    python benchmarks/rate_control.py CLIP... --bitrates 50,100 --psnrs 33 [--plot FILE]

Each clip is coded in two passes for each target, of which the first is what one pass makes. Rows go into
benchmarks/results/rate_control.csv in place of those of the same clip and target, and
benchmarks/results/rate_control.md is written anew from all rows.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import nvc
from nvc.files.summary import FrameReport
from nvc.gop import qp_offset
from nvc.metrics import psnr_yuv_db

RESULTS = Path(__file__).resolve().parent / "results" / "rate_control.csv"
FIELDS = (
    "clip",
    "frames",
    "seconds_of_video",
    "target",
    "passes",
    "wanted",
    "got",
    "error_percent",
    "bitrate_kbps",
    "psnr_yuv_db",
    "base_qp_std",
    "psnr_step_db",
)
Row = dict[str, str]
HEAD = """# Targets met

`base_qp_std` is the standard deviation over frames of the qp less the cascade; `psnr_step_db` the mean change
of PSNR (6 Y + U + V) / 8 from one group of four frames, a turn of the cascade, to the next. Bitrates in kb/s
and their errors are of the whole file, which has no sound; a PSNR's error is in dB. Whole clips, one keyframe
unless a scene is cut. Made by `benchmarks/rate_control.py`.

![qp and PSNR of each frame of carphone under each target](rate_control.png)

| clip | target | passes | wanted | got | error | kb/s | PSNR dB | base_qp_std | psnr_step_db |
| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
"""


def measure(clip: Path, target: str, wanted: float) -> list[tuple[Row, list[FrameReport]]]:
    """Code a clip in two passes, of which the first is what one pass makes; returns a row and the frames of
    each."""
    passes: list[list[FrameReport]] = []

    def note(frame: FrameReport) -> None:
        if frame.n_done == 1:
            passes.append([])
        passes[-1].append(frame)

    name = {"bitrate": "bitrate_kbps", "psnr": "psnr_db"}[target]
    config = nvc.EncoderConfig(threads=1, passes=2, **{name: wanted})
    with tempfile.TemporaryDirectory() as folder:
        summary = nvc.encode(clip, Path(folder) / "coded.nvc", config, on_frame=note)
    trailer_bytes = summary.size_bytes - summary.audio_bytes - passes[-1][-1].total_bytes
    return [
        (row_of(clip, target, wanted, number, frames, trailer_bytes, summary.duration_s), frames)
        for number, frames in enumerate(passes, 1)
    ]


def row_of(
    clip: Path,
    target: str,
    wanted: float,
    passes: int,
    frames: list[FrameReport],
    trailer_bytes: int,
    seconds: float,
) -> Row:
    bitrate_kbps = 8 * (frames[-1].total_bytes + trailer_bytes) / seconds / 1000
    psnr = np.array([psnr_yuv_db(f.psnr_db) for f in frames if f.psnr_db])
    got = bitrate_kbps if target == "bitrate" else float(psnr.mean())
    turns = psnr[1 : 1 + len(psnr[1:]) // 4 * 4].reshape(-1, 4).mean(1)
    values = (
        clip.stem,
        len(frames),
        f"{seconds:.2f}",
        target,
        passes,
        f"{wanted:g}",
        f"{got:.2f}",
        f"{100 * (got / wanted - 1):.2f}" if target == "bitrate" else "",
        f"{bitrate_kbps:.2f}",
        f"{psnr.mean():.2f}",
        f"{np.std(list(base_qps(frames))):.2f}",
        f"{np.abs(np.diff(turns)).mean():.2f}",
    )
    return {field: str(value) for field, value in zip(FIELDS, values, strict=True)}


def base_qps(frames: list[FrameReport]) -> Iterator[int]:
    """The qp of each frame less what its place in the GOP adds."""
    place = -1
    for frame in frames:
        place = 0 if frame.frame_type == "I" else place + 1
        yield frame.qp - qp_offset(place)


def plot(curves: dict[str, list[FrameReport]], path: Path) -> None:
    """Draw qp and PSNR of every frame."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (above, below) = plt.subplots(2, 1, figsize=(13, 7), sharex=True, layout="constrained")
    for label, frames in curves.items():
        above.plot(list(base_qps(frames)), label=label)
        below.plot([psnr_yuv_db(f.psnr_db) for f in frames if f.psnr_db], label=label)
    above.set_ylabel("qp less the cascade")
    below.set_ylabel("PSNR (6 Y + U + V) / 8, dB")
    below.set_xlabel("frame")
    figure.legend(*above.get_legend_handles_labels(), loc="outside right upper")
    figure.savefig(path, dpi=80)


def key(row: Row) -> tuple[str, str, float, str]:
    return row["clip"], row["target"], float(row["wanted"]), row["passes"]


def write(rows: dict[tuple[str, str, float, str], Row]) -> None:
    with RESULTS.open("w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows[k] for k in sorted(rows))
    lines = []
    for k in sorted(rows):
        row = rows[k]
        is_bitrate = row["target"] == "bitrate"
        error = (
            f"{row['error_percent']} %"
            if is_bitrate
            else f"{float(row['got']) - float(row['wanted']):.2f} dB"
        )
        shown = (row["clip"], row["target"], row["passes"], row["wanted"], row["got"], error)

        shown += (row["bitrate_kbps"], row["psnr_yuv_db"], row["base_qp_std"], row["psnr_step_db"])
        lines.append("| " + " | ".join(shown) + " |\n")
    RESULTS.with_suffix(".md").write_text(HEAD + "".join(lines))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--bitrates", default="", help="kb/s, with commas")
    parser.add_argument("--psnrs", default="", help="dB, with commas")
    parser.add_argument("--plot", type=Path)
    wanted = parser.parse_args()
    rows = {}
    if RESULTS.exists():
        with RESULTS.open() as file:
            rows = {key(row): row for row in csv.DictReader(file)}
    curves = {}
    targets = [("bitrate", float(v)) for v in wanted.bitrates.split(",") if v]
    targets += [("psnr", float(v)) for v in wanted.psnrs.split(",") if v]
    for clip in wanted.clips:
        for target, value in targets:
            for row, frames in measure(clip, target, value):
                rows[key(row)] = row
                curves[f"{clip.stem} {target} {value:g}, {row['passes']} pass"] = frames
                print(row, flush=True)
            write(rows)
    if wanted.plot:
        plot(curves, wanted.plot)


if __name__ == "__main__":
    main()
