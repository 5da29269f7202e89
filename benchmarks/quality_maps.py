"""Measure what a region of interest gains at equal size, and show it.

    python benchmarks/quality_maps.py CLIP... [--frames 33] [--qp 24] [--strength 12]
    python benchmarks/quality_maps.py --picture

Each clip is coded at one qp, and again to the same bytes with a mask: an ellipse in the middle, over 24 % of
the picture, is better and the rest worse. Rows go into benchmarks/results/quality_maps.csv in place of those
of the same clip. --picture draws benchmarks/results/quality_map.jpg from a synthetic clip.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

import nvc
from nvc import Frame
from nvc.files.summary import EncodeSummary
from nvc.media import open_video
from nvc.media.demo import demo_clip

RESULTS = Path(__file__).resolve().parent / "results"
FIELDS = (
    "clip",
    "frames",
    "qp",
    "strength",
    "bytes",
    "bytes_with_map",
    "map_bytes",
    "inside_db",
    "inside_with_map_db",
    "inside_gain_db",
    "outside_db",
    "outside_with_map_db",
)
HALF_WIDTH, HALF_HEIGHT = 0.25, 0.3  # of the ellipse, in widths and heights of the picture

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Coding:
    """A coded clip."""

    summary: EncodeSummary
    map_bytes: int
    frames: list[Frame]


def read(path: Path, n_frames: int) -> list[Frame]:
    with open_video(path, n_frames=n_frames) as video:
        return [item for item in video if isinstance(item, Frame)]


def code(clip: Path, n_frames: int, config: nvc.EncoderConfig, folder: Path) -> Coding:
    stream, shown = folder / "coded.nvc", folder / "shown.y4m"
    summary = nvc.encode(clip, stream, config, n_frames=n_frames, reconstruction=shown, overwrite=True)
    map_bytes = nvc.read_info(stream).substream_bytes.get("quality_map", 0)
    return Coding(summary, map_bytes, read(shown, n_frames))


def ellipse(height: int, width: int) -> Mask:
    y, x = np.mgrid[:height, :width]
    distance = ((x + 0.5) / width - 0.5) ** 2 / HALF_WIDTH**2 + (
        (y + 0.5) / height - 0.5
    ) ** 2 / HALF_HEIGHT**2
    return np.asarray(distance < 1)


def regional_psnr_db(original: list[Frame], shown: list[Frame], inside: bool) -> float:
    """Mean over frames of (6 Y + U + V) / 8 PSNR of the samples in the ellipse, or of those around it."""
    values = []
    for a, b in zip(original, shown, strict=True):
        planes = []
        for one, other in zip(a.planes, b.planes, strict=True):
            chosen = ellipse(*one.shape) == inside
            error = (one.astype(np.float64) - other)[chosen]
            planes.append(10 * np.log10(255**2 / np.mean(error**2)))
        values.append((6 * planes[0] + planes[1] + planes[2]) / 8)
    return float(np.mean(values))


def compare(clip: Path, n_frames: int, qp: int, strength: int) -> tuple[dict[str, str], Coding, Coding]:
    """Code a clip without and with the mask; returns a row and both."""
    original = read(clip, n_frames)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        mask = folder / "mask.png"
        cv2.imwrite(str(mask), ellipse(original[0].height, original[0].width).astype(np.uint8) * 255)
        plain = code(clip, n_frames, nvc.EncoderConfig(qp=qp, threads=1), folder)
        config = nvc.EncoderConfig(
            size_bytes=plain.summary.size_bytes,
            passes=3,
            roi=(str(mask),),
            roi_strength=strength,
            threads=1,
        )
        mapped = code(clip, n_frames, config, folder)
    inside = [regional_psnr_db(original, coding.frames, True) for coding in (plain, mapped)]
    outside = [regional_psnr_db(original, coding.frames, False) for coding in (plain, mapped)]
    values = (
        clip.stem,
        len(original),
        qp,
        strength,
        plain.summary.size_bytes,
        mapped.summary.size_bytes,
        mapped.map_bytes,
        f"{inside[0]:.2f}",
        f"{inside[1]:.2f}",
        f"{inside[1] - inside[0]:.2f}",
        f"{outside[0]:.2f}",
        f"{outside[1]:.2f}",
    )
    return {field: str(value) for field, value in zip(FIELDS, values, strict=True)}, plain, mapped


def write(new: list[dict[str, str]]) -> None:
    path = RESULTS / "quality_maps.csv"
    rows = {}
    if path.exists():
        with path.open() as file:
            rows = {row["clip"]: row for row in csv.DictReader(file)}
    rows |= {row["clip"]: row for row in new}
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows[name] for name in sorted(rows))


def draw(path: Path) -> None:
    """The mask over the source, and the last frame without and with the map."""
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "demo.mp4"
        demo_clip(clip, n_frames=9)
        row, plain, mapped = compare(clip, 9, 40, 12)
        source = read(clip, 9)[-1]
    print(row)
    shown = [bgr(frame) for frame in (source, plain.frames[-1], mapped.frames[-1])]
    outline = ellipse(source.height, source.width).astype(np.uint8)
    shown[0] = np.where(outline[..., None] > 0, shown[0], shown[0] // 2)
    edge, _ = cv2.findContours(outline, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    for picture in shown:
        cv2.drawContours(picture, edge, -1, (255, 255, 255), 1)
    titles = (
        "mask",
        f"even quality, {plain.summary.size_bytes} bytes: {row['inside_db']} dB inside",
        f"with the map, {mapped.summary.size_bytes} bytes: {row['inside_with_map_db']} dB inside",
    )
    for picture, title in zip(shown, titles, strict=True):
        cv2.putText(picture, title, (8, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 255), 1, cv2.LINE_AA)
    cv2.imwrite(str(path), np.hstack(shown), [cv2.IMWRITE_JPEG_QUALITY, 82])


def bgr(frame: Frame) -> npt.NDArray[np.uint8]:
    planes = np.concatenate([plane.reshape(-1) for plane in frame.planes])
    return cv2.cvtColor(planes.reshape(frame.height * 3 // 2, frame.width), cv2.COLOR_YUV2BGR_I420)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", nargs="*", type=Path)
    parser.add_argument("--frames", type=int, default=33)
    parser.add_argument("--qp", type=int, default=24)
    parser.add_argument("--strength", type=int, default=12)
    parser.add_argument("--picture", action="store_true")
    wanted = parser.parse_args()
    for clip in wanted.clips:
        row, _, _ = compare(clip, wanted.frames, wanted.qp, wanted.strength)
        print(row, flush=True)
        write([row])
    if wanted.picture:
        draw(RESULTS / "quality_map.jpg")


if __name__ == "__main__":
    main()
