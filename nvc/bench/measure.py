"""Makes one row: codes a clip, decodes it again, compares."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from nvc.bench.clip import Clip, raw_frame
from nvc.bench.codec import BenchCodec, Coded
from nvc.bench.measurement import FrameFigures, Measurement
from nvc.bench.measures import Quality, compare
from nvc.frames import Frame
from nvc.metrics import psnr_yuv_db

_LOSSLESS_WEBP = 101


def empty_row(clip: Clip, codec: BenchCodec, qp: int, keyint: int) -> Measurement:
    """Return a row without figures: what will be measured."""
    return Measurement(
        clip=clip.name,
        clip_md5=clip.md5,
        width=clip.width,
        height=clip.height,
        fps=round(float(clip.frame_rate), 3),
        n_frames=clip.n_frames,
        keyint=keyint,
        codec=codec.name,
        protocol=codec.protocol,
        version=codec.version,
        settings=codec.settings(qp, keyint),
        qp=qp,
        kmac_per_pixel=codec.kmac_per_pixel(clip.n_frames, keyint),
        parameters=codec.parameters,
    )


def measure(clip: Clip, codec: BenchCodec, qp: int, keyint: int, picture: Path) -> Measurement:
    """Measure one row; whatever fails becomes the row's error. The middle frame is saved as `picture`."""
    row = empty_row(clip, codec, qp, keyint)
    try:
        with tempfile.TemporaryDirectory(dir=clip.raw.parent) as folder:
            raw = Path(folder) / "compared.yuv"
            coded = codec.code(clip, qp, keyint, Path(folder))
            quality = compare(clip, coded.frames, raw)
            save_picture(raw_frame(raw, clip.width, clip.height, clip.n_frames // 2), picture)
            return _fill(row, clip, coded, quality)
    except Exception as exc:  # one codec that fails must not end the others' measurements
        lines = str(exc).strip().split("\n")
        return _with(row, error=f"{type(exc).__name__}: {lines[0]}"[:300])


def save_picture(frame: Frame, path: Path) -> None:
    """Save one frame as lossless WebP in BT.601 colours."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ok, data = cv2.imencode(".webp", to_bgr(frame), [cv2.IMWRITE_WEBP_QUALITY, _LOSSLESS_WEBP])
    if not ok:
        raise OSError(f"cannot write {path}")
    path.write_bytes(data.tobytes())


def to_bgr(frame: Frame) -> npt.NDArray[np.uint8]:
    """Convert to [height, width, 3] for the screen; chroma is repeated, BT.601 limited range assumed."""
    shape = frame.y.shape
    u, v = (plane.repeat(2, 0).repeat(2, 1)[: shape[0], : shape[1]] for plane in (frame.u, frame.v))
    y, cb, cr = (plane.astype(np.float32) for plane in (frame.y, u, v))
    y, cb, cr = 1.16438 * (y - 16), cb - 128, cr - 128
    bgr = np.stack([y + 2.01723 * cb, y - 0.39176 * cb - 0.81297 * cr, y + 1.59603 * cr], axis=-1)
    return np.asarray(np.clip(np.rint(bgr), 0, 255), np.uint8)


def _fill(row: Measurement, clip: Clip, coded: Coded, quality: Quality) -> Measurement:
    y, u, v = (float(value) for value in np.mean(quality.psnr_db, axis=0))
    bits = coded.size_bytes * 8
    return _with(
        row,
        size_bytes=coded.size_bytes,
        bpp=round(bits / (clip.width * clip.height * clip.n_frames), 6),
        bitrate_kbps=round(bits * float(clip.frame_rate) / clip.n_frames / 1000, 3),
        psnr_y_db=round(y, 4),
        psnr_u_db=round(u, 4),
        psnr_v_db=round(v, 4),
        psnr_db=round(psnr_yuv_db((y, u, v)), 4),
        ms_ssim=_mean(quality.ms_ssim, 6),
        vmaf=_mean(quality.vmaf, 4),
        encode_wall_s=round(coded.encode.wall_s, 4),
        encode_cpu_s=round(coded.encode.cpu_s, 4),
        encode_fps=round(clip.n_frames / max(coded.encode.wall_s, 1e-6), 3),
        encode_peak_mib=_rounded(coded.encode.peak_mib, 1),
        decode_wall_s=round(coded.decode.wall_s, 4),
        decode_cpu_s=round(coded.decode.cpu_s, 4),
        decode_fps=round(clip.n_frames / max(coded.decode.wall_s, 1e-6), 3),
        decode_peak_mib=_rounded(coded.decode.peak_mib, 1),
        frames=tuple(_frame_figures(coded, quality, index) for index in range(clip.n_frames)),
    )


def _frame_figures(coded: Coded, quality: Quality, index: int) -> FrameFigures:
    y, u, v = quality.psnr_db[index]
    knows_sizes = len(coded.frame_bytes) == len(quality.psnr_db)
    return FrameFigures(
        coded.frame_bytes[index] if knows_sizes else None,
        round(y, 4),
        round(u, 4),
        round(v, 4),
        round(quality.ms_ssim[index], 6) if quality.ms_ssim else None,
        round(quality.vmaf[index], 4) if quality.vmaf else None,
    )


def _with(row: Measurement, **figures: object) -> Measurement:
    return replace(row, **figures)  # type: ignore[arg-type]


def _mean(values: list[float], digits: int) -> float | None:
    return round(sum(values) / len(values), digits) if values else None


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
