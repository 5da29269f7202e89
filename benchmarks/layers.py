"""What layers cost: the full stack beside a stream of one layer and beside two streams (simulcast).

    python -m benchmarks.layers CLIP... [--frames 17] [--qps 16,24,32,40]

Each clip is coded in one, two and three layers of automatic spacing, and in one layer at the quality of the
base, too. Every prefix of a stack is extracted into a file of its own, and every full stack is verified. Rows
go into benchmarks/results/layers.csv in place of those of the same clip; layers.md is made of all rows.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import nvc
from benchmarks.markdown import table
from benchmarks.rows import put_rows, read_rows
from nvc.bench.bd import Curve, compare_curves
from nvc.config import LAYER_QP_STEP, QP_MAX

RESULTS = Path(__file__).resolve().parent / "results"


@dataclass(frozen=True)
class Row:
    """A prefix of a stack: the file of its lower layers, and their (6 Y + U + V) / 8 PSNR."""

    clip: str
    frames: int
    qp: int
    layers: int
    prefix: int
    bytes: int
    psnr_db: float


def code(clip: Path, n_frames: int, qp: int, n_layers: int, folder: Path) -> list[Row]:
    """Code a clip, verify it, and measure every prefix of its layers."""
    stream = folder / "stack.nvc"
    config = nvc.EncoderConfig(qp=qp, layers=n_layers, keyint=-1, scene_cut=False, threads=1)
    summary = nvc.encode(clip, stream, config, n_frames=n_frames, overwrite=True)
    if not nvc.verify(stream, threads=1).is_good:
        raise SystemExit(f"{clip} at qp {qp} in {n_layers} layers does not decode to what was encoded")
    rows = []
    for prefix, layer in enumerate(summary.layers, 1):
        part = folder / "part.nvc"
        size = nvc.extract(stream, part, layers=prefix, overwrite=True).size_bytes
        rows.append(Row(clip.stem, summary.n_frames, qp, n_layers, prefix, size, layer.psnr_yuv_db))
    return rows


def bd_rate(clip: str, anchor: Curve, curve: Curve) -> float:
    """Per cent more bytes than the anchor at equal PSNR."""
    rate = compare_curves(clip, "single", "compared", sorted(anchor), sorted(curve)).bd_rate_percent
    if rate is None:
        raise SystemExit(f"the curves of {clip} cannot be compared")
    return rate


def compare(rows: list[Row]) -> tuple[float, float, float, float]:
    """Of one clip: per cent more than one layer, by two, three, two streams; the base's share of two."""

    def stack(n_layers: int) -> dict[int, Row]:
        return {row.qp: row for row in rows if row.layers == row.prefix == n_layers}

    single, double = stack(1), stack(2)
    anchor: Curve = [(single[qp].bytes, single[qp].psnr_db) for qp in double]
    simulcast: Curve = [
        (single[qp].bytes + single[min(qp + LAYER_QP_STEP, QP_MAX)].bytes, single[qp].psnr_db)
        for qp in double
    ]
    two, three = ([(float(r.bytes), r.psnr_db) for r in stack(n).values()] for n in (2, 3))
    rates = [bd_rate(rows[0].clip, anchor, curve) for curve in (two, three, simulcast)]
    base = mean(row.bytes / double[row.qp].bytes for row in rows if (row.layers, row.prefix) == (2, 1))
    return rates[0], rates[1], rates[2], 100 * base


def report(rows: list[Row]) -> str:
    """BD-rates of each clip and their mean, and the points of every prefix."""
    clips = sorted({row.clip for row in rows})
    cells = [["clip", "frames", "2 layers, %", "3 layers, %", "2 streams, %", "base of 2, % of bytes"]]
    figures = []
    for clip in clips:
        own = [row for row in rows if row.clip == clip]
        figures.append(compare(own))
        cells.append([clip, str(own[0].frames), *(f"{value:+.1f}" for value in figures[-1][:3])])
        cells[-1].append(f"{figures[-1][3]:.0f}")
    means = [mean(column) for column in zip(*figures, strict=True)]
    cells.append(["**mean**", "", *(f"**{value:+.1f}**" for value in means[:3]), f"{means[3]:.0f}"])
    points = [["clip", "qp", "layers", "prefix: bytes, dB", "", ""]]
    stacks = sorted({(row.clip, row.qp, row.layers) for row in rows if row.layers > 1})
    for clip, qp, n_layers in stacks:
        prefixes = [row for row in rows if (row.clip, row.qp, row.layers) == (clip, qp, n_layers)]
        shown = [f"{row.bytes}, {row.psnr_db:.2f}" for row in prefixes]
        points.append([clip, str(qp), str(n_layers), *shown, *[""] * (3 - len(shown))])
    return f"More bytes than one layer at equal PSNR:\n\n{table(cells)}\n\nEvery prefix:\n\n{table(points)}\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("clips", type=Path, nargs="*")
    parser.add_argument("--frames", type=int, default=17)
    parser.add_argument("--qps", default="16,24,32,40")
    arguments = parser.parse_args()
    qps = [int(qp) for qp in arguments.qps.split(",")]
    target = RESULTS / "layers.csv"
    for clip in arguments.clips:
        new: list[Row] = []
        with tempfile.TemporaryDirectory() as name:
            single = sorted({*qps, *(min(qp + LAYER_QP_STEP, QP_MAX) for qp in qps)})
            for n_layers, at in ((1, single), (2, qps), (3, qps)):
                for qp in at:
                    new += code(clip, arguments.frames, qp, n_layers, Path(name))
        print(clip.stem, *(f"{value:+.1f}" for value in compare(new)), flush=True)
        put_rows(target, new, lambda row: (row.clip, row.layers, row.qp, row.prefix))
    (RESULTS / "layers.md").write_text(report(read_rows(target, Row)))


if __name__ == "__main__":
    main()
