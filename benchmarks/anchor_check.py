"""Are the anchors what they should be? Compares rows of `nvc bench` with benchmarks/anchors/, row by row.

    nvc bench CLIPS --anchors x264,x265,svtav1 --frames 33 --out RESULTS
    python -m benchmarks.anchor_check RESULTS... [--memory CLIP]...

writes results/anchor_check.md: all differences in bytes and PSNR, the BD-rate of x265 against x264 from both
sets, and, of the clips after --memory, x264's bytes when new memory holds one thing or another.
"""

from __future__ import annotations

import argparse
import ctypes
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import bjontegaard

from benchmarks.markdown import table
from nvc.bench import Measurement, bd_table, load_references, read_results, select_anchors
from nvc.bench.bd import METHOD
from nvc.bench.clip import load_clip
from nvc.bench.ffmpeg_codec import without_sei
from nvc.bench.measurement import MEASURED
from nvc.bench.reference import ReferenceRows

RESULT = Path(__file__).with_name("results") / "anchor_check.md"
_PSNR_ROUNDING_DB = 0.00011  # both are rounded to four digits
_PAIRS = (("x264_medium_ld", "x265_medium_ld"), ("x264_medium", "x265_medium"))
_M_PERTURB = -6  # malloc.h: new memory holds the complement of the lowest byte; 0 leaves it as it was
_FILLS = {"zeros": 0xFF, "0x55": 0xAA, "0xAA": 0x55, "0xFF": 0x100}
COMMAND = "python -m benchmarks.anchor_check RESULTS... --memory CLIP..."
_MEMORY_NOTE = """Bytes of x264_medium for the same frames and settings, 33 frames, when newly allocated
memory holds zeros or other bytes. What is in it must not matter; where it does, x264's look-ahead reads what
it never wrote, and a shipped row depends on what its process had done before. `nvc bench` gives x264 zeros,
as a fresh process has."""


@dataclass(frozen=True)
class Difference:
    """One row of both sets."""

    measured: Measurement
    shipped: dict[str, str]

    @property
    def bytes_percent(self) -> float:
        shipped = int(self.shipped["bytes"])
        return 100 * ((self.measured.size_bytes or 0) - shipped) / shipped

    @property
    def psnr_db(self) -> float:
        return (self.measured.psnr_db or 0) - float(self.shipped["psnr_yuv"])

    @property
    def is_rounding(self) -> bool:
        return self.bytes_percent == 0 and abs(self.psnr_db) <= _PSNR_ROUNDING_DB


def compare(rows: Sequence[Measurement], shipped: ReferenceRows) -> Iterator[Difference]:
    """Yield each measured row that is among the shipped ones: the same pictures, codec and quality."""
    by_place = {(row["sequence"], row["frames"], row["codec"], row["qp"]): row for row in shipped.rows}
    for row in rows:
        sequence = shipped.by_md5.get((row.clip_md5, row.n_frames), "")
        found = by_place.get((sequence, str(row.n_frames), row.codec, str(row.qp)))
        if row.origin == MEASURED and not row.error and found is not None:
            yield Difference(row, found)


def describe(differences: Sequence[Difference]) -> list[str]:
    """Lay out a line per codec and clip, then one per row that differs by more than rounding."""
    same = sum(difference.is_rounding for difference in differences)
    lines = [f"{len(differences)} rows are in both, {same} of them with the same bytes and PSNR.", ""]
    cells = [["codec", "clip", "rows", "the same", "bytes differ by", "PSNR differs by"]]
    groups: dict[tuple[str, str], list[Difference]] = {}
    for difference in differences:
        groups.setdefault((difference.measured.codec, difference.measured.clip), []).append(difference)
    for (codec, clip), group in sorted(groups.items()):
        worst_bytes = max((d.bytes_percent for d in group), key=abs)
        worst_psnr = max((d.psnr_db for d in group), key=abs)
        same = sum(d.is_rounding for d in group)
        cells.append(
            [codec, clip, str(len(group)), str(same), f"{worst_bytes:+.3f} %", f"{worst_psnr:+.4f} dB"]
        )
    lines += [table(cells), ""]
    different = [d for d in differences if not d.is_rounding]
    if different:
        cells = [["codec", "clip", "crf", "bytes", "shipped", "", "PSNR dB", "shipped"]]
        for d in different:
            row, size, psnr = d.measured, d.shipped["bytes"], d.shipped["psnr_yuv"]
            figures = [str(row.size_bytes), size, f"{d.bytes_percent:+.3f} %", f"{row.psnr_db:.4f}", psnr]
            cells.append([row.codec, row.clip, str(row.qp), *figures])
        lines += ["Rows that are not the same:", "", table(cells), ""]
    return lines


def bd_lines(differences: Sequence[Difference]) -> list[str]:
    """Compare BD-rates of x265 against x264: by `nvc bench`, and by bjontegaard from shipped rows alone."""
    cells = [["BD-rate of", "against", "clip", "nvc bench", "from anchors.csv"]]
    rows = [d.measured for d in differences]
    for anchor, codec in _PAIRS:
        figures = [f for f in bd_table(rows, [anchor], [codec]) if f.bd_rate_percent is not None]
        both = [(f.bd_rate_percent or 0.0, _shipped_bd(differences, f.clip, anchor, codec)) for f in figures]
        for figure, (ours, theirs) in zip(figures, both, strict=True):
            cells.append([codec, anchor, figure.clip, f"{ours:+.3f} %", f"{theirs:+.3f} %"])
        if both:
            ours, theirs = (mean(values) for values in zip(*both, strict=True))
            cells.append([codec, anchor, f"mean of {len(both)}", f"{ours:+.3f} %", f"{theirs:+.3f} %"])
    return [table(cells), ""]


def _shipped_bd(differences: Sequence[Difference], clip: str, anchor: str, codec: str) -> float:
    values = []
    for name in (anchor, codec):
        shipped = [d.shipped for d in differences if (d.measured.clip, d.measured.codec) == (clip, name)]
        points = sorted((float(row["bpp"]), float(row["psnr_yuv"])) for row in shipped)
        values += [[point[i] for point in points] for i in (0, 1)]
    options = {"method": METHOD, "require_matching_points": False, "min_overlap": 0}
    return float(bjontegaard.bd_rate(*values, **options))


def memory_lines(clip_paths: Sequence[Path], n_frames: int) -> list[str]:
    """Encode clips with x264_medium while new memory holds one thing or another (glibc only)."""
    (codec,) = select_anchors(["x264_medium"])
    mallopt = ctypes.CDLL(None).mallopt
    cells = [["clip", "crf", *(f"{name}, twice" for name in _FILLS), "spread"]]
    for path in clip_paths:
        with tempfile.TemporaryDirectory() as folder:
            clip = load_clip(path, n_frames, Path(folder))
            for crf in codec.qps:
                sizes: list[list[int]] = []
                for byte in _FILLS.values():
                    mallopt(_M_PERTURB, byte)
                    packets = [codec._encode(clip, codec._options(crf, -1)) for _ in range(2)]
                    mallopt(_M_PERTURB, 0)
                    sizes.append([sum(len(without_sei(data)) for _, data in run) for run in packets])
                flat = [size for pair in sizes for size in pair]
                spread = 100 * (max(flat) - min(flat)) / min(flat)
                texts = [" ".join(map(str, pair)) for pair in sizes]
                cells.append([clip.name, str(crf), *texts, f"{spread:.2f} %"])
    return [table(cells), ""]


def main() -> None:
    """Write the comparison."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.anchor_check")
    parser.add_argument("results", type=Path, nargs="+")
    parser.add_argument("--memory", type=Path, action="append", default=[], metavar="CLIP")
    parser.add_argument("--out", type=Path, default=RESULT)
    wanted = parser.parse_args()
    lines = ["# Anchors of `nvc bench` beside the shipped rows", "", f"Made by `{COMMAND}`.", ""]
    for folder in wanted.results:
        differences = list(compare(read_results(folder), load_references()))
        if not differences:
            raise SystemExit(f"{folder} has no rows of the shipped ones' pictures")
        lines += [f"## {max(d.measured.n_frames for d in differences)} frames", "", *describe(differences)]
        lines += bd_lines(differences)
    if wanted.memory:
        lines += ["## x264 and its memory", "", _MEMORY_NOTE, "", *memory_lines(wanted.memory, 33)]
    wanted.out.write_text("\n".join(lines).rstrip() + "\n", "utf-8")


if __name__ == "__main__":
    main()
