"""Measures of quality, with their units and protocols in their names."""

from __future__ import annotations

import math

import numpy as np

from nvc.frames import Frame, Plane

PSNR_CAP_DB = 100.0  # of a plane that is reproduced exactly


def plane_psnr_db(a: Plane, b: Plane) -> float:
    """PSNR of one 8-bit plane, peak 255, capped at PSNR_CAP_DB."""
    difference = a.astype(np.int32) - b.astype(np.int32)
    mse = float(np.mean(difference * difference))
    return min(PSNR_CAP_DB, 10 * math.log10(255**2 / mse)) if mse else PSNR_CAP_DB


def psnr_db(original: Frame, decoded: Frame) -> tuple[float, float, float]:
    """PSNR of Y, U and V."""
    y, u, v = (plane_psnr_db(a, b) for a, b in zip(original.planes, decoded.planes, strict=True))
    return y, u, v


def psnr_yuv_db(psnr: tuple[float, float, float]) -> float:
    """(6 Y + U + V) / 8 of PSNRs in dB."""
    return (6 * psnr[0] + psnr[1] + psnr[2]) / 8
