"""The clip and the rows that the bench tests share."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from nvc.bench.measurement import FrameFigures, Measurement
from nvc.media import VideoInfo, open_output
from nvc.media.synthetic import natural_clip

ROOT = Path(__file__).resolve().parents[2]
ANCHORS = ROOT / "benchmarks" / "anchors" / "anchors.csv"
FAKE = Path(__file__).with_name("fake_encoder.py")
WIDTH, HEIGHT, N_FRAMES = 96, 64, 5
RISING = [(0.1, 30.0), (0.2, 33.0), (0.4, 36.0), (0.8, 39.0)]


def write_clip(
    path: Path, seed: int = 1, width: int = WIDTH, height: int = HEIGHT, n_frames: int = N_FRAMES
) -> Path:
    info = VideoInfo(width=width, height=height, time_base=Fraction(1, 25), frame_rate=Fraction(25))
    with open_output(path, info) as writer:
        for frame in natural_clip(width, height, n_frames, seed):
            writer.write(frame)
    return path


def curve_rows(clip: str, codec: str, factor: float = 1, version: str = "1") -> list[Measurement]:
    """Rows of RISING with all rates times `factor`."""
    frames = (FrameFigures(100, 30.0, 40.0, 40.0), FrameFigures(None, 31.0, 41.0, 41.0))
    return [
        Measurement(
            clip=clip,
            clip_md5=f"md5 of {clip}",
            width=96,
            height=64,
            fps=25.0,
            n_frames=2,
            keyint=-1,
            codec=codec,
            protocol="ld",
            version=version,
            settings=f"{codec} -q {qp}",
            qp=qp,
            size_bytes=round(1536 * rate * factor),
            bpp=rate * factor,
            psnr_db=quality,
            frames=frames,
        )
        for qp, (rate, quality) in enumerate(RISING)
    ]
