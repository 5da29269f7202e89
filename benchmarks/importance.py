"""Measure what the learned importance map gains at equal MS-SSIM, and costs at equal PSNR; and show it.

    python -m benchmarks.importance CLIP... [--frames 33] [--qps 20,28,36,44]
    python -m benchmarks.importance --picture

Each clip is coded with and without the map at the same qps, with one keyframe. Points go into
benchmarks/results/importance.csv in place of those of the same clip, BD-rates of all clips there into
importance.md. --picture draws benchmarks/results/importance.jpg from the clip of `nvc demo`.
"""

from __future__ import annotations

import argparse
import csv
import math
import tempfile
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

import nvc
from benchmarks.markdown import table
from benchmarks.quality_maps import RESULTS, Coding, bgr, code, read
from nvc import Frame
from nvc.bench.bd import compare_curves
from nvc.bench.ms_ssim import MIN_SIDE, ms_ssim
from nvc.media.demo import demo_clip
from nvc.roi import QualityMapper

FIELDS = ("clip", "frames", "importance", "qp", "size_bytes", "map_bytes", "bpp", "psnr_db", "ms_ssim")
METRIC = "ms-ssim"

Row = dict[str, str]


def similarity(original: list[Frame], shown: list[Frame]) -> float | None:
    """Mean MS-SSIM of luma; None for pictures too small for it."""
    if min(original[0].y.shape) < MIN_SIDE:
        return None
    return float(np.mean([ms_ssim(a.y, b.y) for a, b in zip(original, shown, strict=True)]))


def measure(clip: Path, n_frames: int, qps: list[int]) -> list[Row]:
    """Code a clip with and without the map."""
    original = read(clip, n_frames)
    rows = []
    for qp in qps:
        for importance in (None, METRIC):
            config = nvc.EncoderConfig(qp=qp, keyint=-1, scene_cut=False, threads=1, importance=importance)
            with tempfile.TemporaryDirectory() as folder:
                coding = code(clip, n_frames, config, Path(folder))
            quality = similarity(original, coding.frames)
            size = coding.summary.size_bytes
            values = (
                clip.stem,
                len(original),
                importance or "",
                qp,
                size,
                coding.map_bytes,
                f"{8 * size / (len(original) * original[0].y.size):.6f}",
                f"{coding.summary.psnr_yuv_db:.4f}",
                "" if quality is None else f"{quality:.6f}",
            )
            rows.append({field: str(value) for field, value in zip(FIELDS, values, strict=True)})
            print(rows[-1], flush=True)
    return rows


def bd_rate_percent(rows: list[Row], field: str) -> float:
    """Bits with the map over those without, at equal `field`; nan where it is not measured."""
    curves = []
    for importance in ("", METRIC):
        points = [
            (float(row["bpp"]), float(row[field]))
            for row in rows
            if row["importance"] == importance and row[field]
        ]
        if field == "ms_ssim":
            points = [(bpp, -10 * math.log10(1 - value)) for bpp, value in points]
        curves.append(sorted(points))
    rate = compare_curves(rows[0]["clip"], "even", METRIC, *curves).bd_rate_percent
    return math.nan if rate is None else rate


def write(new: list[Row]) -> None:
    """Put the points of clips into the table of points, and make the BD-rates anew."""
    path = RESULTS / "importance.csv"
    by_clip: dict[str, list[Row]] = {}
    if path.exists():
        with path.open() as file:
            for row in csv.DictReader(file):
                by_clip.setdefault(row["clip"], []).append(row)
    by_clip |= {row["clip"]: [other for other in new if other["clip"] == row["clip"]] for row in new}
    by_clip = dict(sorted(by_clip.items()))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(row for rows in by_clip.values() for row in rows)
    figures: list[tuple[str, str, float, float, float]] = []
    for rows in by_clip.values():
        mapped = [row for row in rows if row["importance"]]
        share = sum(int(row["map_bytes"]) / int(row["size_bytes"]) for row in mapped) / len(mapped)
        rates = bd_rate_percent(rows, "ms_ssim"), bd_rate_percent(rows, "psnr_db")
        figures.append((rows[0]["clip"], rows[0]["frames"], *rates, 100 * share))
    lines = [(clip, n, _percent(a), _percent(b), f"{share:.1f}") for clip, n, a, b, share in figures]
    means = _mean_percent([row[2] for row in figures]), _mean_percent([row[3] for row in figures])
    header = ("clip", "frames", "bits at equal MS-SSIM, %", "bits at equal PSNR, %", "map, % of bytes")
    text = table([header, *lines, ("mean", "", *means, "")])
    qps = ", ".join(sorted({row["qp"] for rows in by_clip.values() for row in rows}))
    (RESULTS / "importance.md").write_text(
        "### The learned importance map\n\n`python -m benchmarks.importance CLIPS`: BD-rates of "
        f"`--importance {METRIC}` against even quality, at qp {qps},\none keyframe a clip. PSNR is 6:1:1; "
        f"MS-SSIM is that of luma, which needs sides of {MIN_SIDE} samples.\n"
        f"Means are over the clips that have a figure.\n\n{text}\n"
    )


def _mean_percent(values: list[float]) -> str:
    measured = [value for value in values if not math.isnan(value)]
    return _percent(sum(measured) / len(measured) if measured else math.nan)


def _percent(value: float) -> str:
    return "" if math.isnan(value) else f"{value:+.1f}"


def draw(path: Path) -> None:
    """The source, its map, and the last frame without and with the map at the same size."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clip = folder / "demo.mp4"
        demo_clip(clip, n_frames=9)
        source = read(clip, 9)
        plain = code(clip, 9, nvc.EncoderConfig(qp=40, threads=1), folder)
        config = nvc.EncoderConfig(
            size_bytes=plain.summary.size_bytes, passes=3, importance=METRIC, threads=1
        )
        mapped = code(clip, 9, config, folder)
    mapper = QualityMapper(config)
    offsets = [mapper.next_map(frame) for frame in source][-1]
    assert offsets is not None
    shown = [bgr(source[-1]), tinted(source[-1], offsets)]
    titles = ["source", f"map: blue {offsets.min()} qp, red +{offsets.max()} qp"]
    for coding, title in ((plain, "even quality"), (mapped, "with the map")):
        shown.append(bgr(coding.frames[-1]))
        titles.append(f"{title}, {coding.summary.size_bytes} bytes: {caption(source, coding)}")
    for picture, title in zip(shown, titles, strict=True):
        cv2.putText(picture, title, (8, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 3, cv2.LINE_AA)
        cv2.putText(picture, title, (8, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 255), 1, cv2.LINE_AA)
    pictures = np.vstack([np.hstack(shown[:2]), np.hstack(shown[2:])])
    cv2.imwrite(str(path), pictures, [cv2.IMWRITE_JPEG_QUALITY, 85])


def caption(source: list[Frame], coding: Coding) -> str:
    quality = similarity(source, coding.frames)
    return f"MS-SSIM {quality:.4f}, {coding.summary.psnr_yuv_db:.2f} dB"


def tinted(frame: Frame, offsets: npt.NDArray[np.int16]) -> npt.NDArray[np.uint8]:
    """The luma in grey, blue where blocks are better and red where worse."""
    size = frame.width, frame.height
    strength = np.abs(offsets).max(initial=1)
    share = cv2.resize(offsets.astype(np.float32) / strength, size, interpolation=cv2.INTER_NEAREST)[
        ..., None
    ]
    colour = np.where(share < 0, np.array([255.0, 120.0, 40.0]), np.array([40.0, 60.0, 255.0]))
    grey = frame.y[..., None].astype(np.float32)
    weight = 0.6 * np.abs(share)
    return np.asarray(grey * (1 - weight) + colour * weight, np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("clips", nargs="*", type=Path)
    parser.add_argument("--frames", type=int, default=33)
    parser.add_argument("--qps", default="20,28,36,44")
    parser.add_argument("--picture", action="store_true")
    wanted = parser.parse_args()
    for clip in wanted.clips:
        write(measure(clip, wanted.frames, [int(qp) for qp in wanted.qps.split(",")]))
    if wanted.picture:
        draw(RESULTS / "importance.jpg")


if __name__ == "__main__":
    main()
