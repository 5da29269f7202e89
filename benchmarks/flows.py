"""What motion search had better begin with: each optical flow beside dense inverse search.

    python -m benchmarks.flows CLIP... [--frames 33] [--qps 18,26,34,42]

Each clip is coded with each flow, one keyframe, on one thread, the flows in turn so that their times can be
compared. Rows go into benchmarks/results/flows.csv in place of those of the same clip; flows.md is made of
all rows.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import nvc
from benchmarks.layers import bd_rate
from benchmarks.markdown import table
from benchmarks.rows import put_rows, read_rows
from nvc.config import FLOWS

RESULTS = Path(__file__).resolve().parent / "results"


@dataclass(frozen=True)
class Row:
    """A clip coded once: bytes of the file, (6 Y + U + V) / 8 PSNR, processor time of the process."""

    clip: str
    frames: int
    flow: str
    qp: int
    bytes: int
    psnr_db: float
    cpu_s: float


def code(clip: Path, n_frames: int, flow: str, qp: int, folder: Path) -> Row:
    config = nvc.EncoderConfig(qp=qp, flow=flow, keyint=-1, scene_cut=False, threads=1)
    started = time.process_time()
    summary = nvc.encode(clip, folder / "coded.nvc", config, n_frames=n_frames, overwrite=True)
    cpu_s = time.process_time() - started
    return Row(clip.stem, summary.n_frames, flow, qp, summary.size_bytes, summary.psnr_yuv_db, cpu_s)


def compare(rows: list[Row], flow: str) -> tuple[float, float]:
    """Of one clip: per cent more bytes at equal PSNR than with the first flow, and times the time."""
    names = FLOWS[0], flow
    curves = [sorted((float(r.bytes), r.psnr_db) for r in rows if r.flow == name) for name in names]
    times = [sum(row.cpu_s for row in rows if row.flow == name) for name in (flow, FLOWS[0])]
    return bd_rate(rows[0].clip, *curves), times[0] / times[1]


def report(rows: list[Row]) -> str:
    head = [cell for flow in FLOWS[1:] for cell in (f"{flow}: more bytes, %", "times the processor time")]
    cells, figures = [["clip", *head]], []
    for clip in sorted({row.clip for row in rows}):
        own = [row for row in rows if row.clip == clip]
        figures.append([value for flow in FLOWS[1:] for value in compare(own, flow)])
        cells.append([clip, *_written(figures[-1])])
    cells.append(["**mean**", *_written([mean(column) for column in zip(*figures, strict=True)])])
    return f"Whole encodes, beside those with the flow `{FLOWS[0]}` at equal PSNR:\n\n{table(cells)}\n"


def _written(figures: list[float]) -> list[str]:
    return [f"{value:.2f}" if number % 2 else f"{value:+.2f}" for number, value in enumerate(figures)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("clips", type=Path, nargs="*")
    parser.add_argument("--frames", type=int, default=33)
    parser.add_argument("--qps", default="18,26,34,42")
    arguments = parser.parse_args()
    target = RESULTS / "flows.csv"
    for clip in arguments.clips:
        with tempfile.TemporaryDirectory() as name:
            new = [
                code(clip, arguments.frames, flow, int(qp), Path(name))
                for qp in arguments.qps.split(",")
                for flow in FLOWS
            ]
        print(clip.stem, *(compare(new, flow) for flow in FLOWS[1:]), flush=True)
        put_rows(target, new, lambda row: (row.clip, row.flow, row.qp))
    (RESULTS / "flows.md").write_text(report(read_rows(target, Row)))


if __name__ == "__main__":
    main()
