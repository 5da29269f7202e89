"""One row of the results, and its names and units."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

MEASURED = "measured"


@dataclass(frozen=True)
class FrameFigures:
    """Size and quality of one frame, in display order; None where a figure could not be had."""

    size_bytes: int | None
    psnr_y_db: float
    psnr_u_db: float
    psnr_v_db: float
    ms_ssim: float | None = None
    vmaf: float | None = None


@dataclass(frozen=True)
class Measurement:
    """One clip, coded once, decoded again and compared; the fields are the columns of results.csv.

    psnr_*_db: mean over the frames of each frame's PSNR; psnr_db: (6 Y + U + V) / 8 of these.
    ms_ssim: mean over the frames, luma; None where the pictures are too small for it. vmaf: mean, of the
    default model. kmac_per_pixel: of the decoder, mean over the frames.
    *_wall_s, *_cpu_s: seconds of coding alone, without reading the source or writing a report.
    *_peak_mib: resident memory of the whole process at its highest.
    origin: "measured" here, or the file that the row was taken from. error: why there are no figures.
    """

    clip: str
    clip_md5: str
    width: int
    height: int
    fps: float
    n_frames: int
    keyint: int
    codec: str
    protocol: str
    version: str
    settings: str
    qp: int
    size_bytes: int | None = None
    bpp: float | None = None
    bitrate_kbps: float | None = None
    psnr_y_db: float | None = None
    psnr_u_db: float | None = None
    psnr_v_db: float | None = None
    psnr_db: float | None = None
    ms_ssim: float | None = None
    vmaf: float | None = None
    encode_wall_s: float | None = None
    encode_cpu_s: float | None = None
    encode_fps: float | None = None
    encode_peak_mib: float | None = None
    decode_wall_s: float | None = None
    decode_cpu_s: float | None = None
    decode_fps: float | None = None
    decode_peak_mib: float | None = None
    kmac_per_pixel: float | None = None
    parameters: int | None = None
    origin: str = MEASURED
    error: str = ""
    frames: tuple[FrameFigures, ...] = ()

    @property
    def key(self) -> tuple[object, ...]:
        """What the figures depend on: rows with one key need to be measured once only."""
        return (self.clip_md5, self.n_frames, self.keyint, self.codec, self.version, self.settings, self.qp)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON, the frames as lists in the order of FrameFigures' fields."""
        row: dict[str, Any] = {name: getattr(self, name) for name in COLUMNS}
        row["frames"] = [[getattr(frame, name) for name in FRAME_COLUMNS] for frame in self.frames]
        return row

    @classmethod
    def from_dict(cls, row: dict[str, Any]) -> Measurement:
        """Take back what `to_dict` gave; columns of a later version are left out."""
        known = {name: row[name] for name in COLUMNS if name in row}
        return cls(**known, frames=tuple(FrameFigures(*values) for values in row.get("frames", ())))


COLUMNS = tuple(field.name for field in fields(Measurement) if field.name != "frames")
FRAME_COLUMNS = tuple(field.name for field in fields(FrameFigures))
