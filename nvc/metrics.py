"""Measures of quality, with their units and protocols in their names."""

from __future__ import annotations

import math

import cv2

from nvc.frames import Frame, Plane

PSNR_CAP_DB = 100.0  # of a plane that is reproduced exactly


def squared_error(a: Plane, b: Plane) -> int:
    """Sum of the squared differences of two 8-bit planes of one shape."""
    return round(cv2.norm(a, b, cv2.NORM_L2SQR))  # a whole number but for a last bit


def plane_psnr_db(a: Plane, b: Plane) -> float:
    """PSNR of one 8-bit plane, peak 255, capped at PSNR_CAP_DB."""
    mse = squared_error(a, b) / a.size
    return min(PSNR_CAP_DB, 10 * math.log10(255**2 / mse)) if mse else PSNR_CAP_DB


def psnr_db(original: Frame, decoded: Frame) -> tuple[float, float, float]:
    """PSNR of Y, U and V."""
    y, u, v = (plane_psnr_db(a, b) for a, b in zip(original.planes, decoded.planes, strict=True))
    return y, u, v


def psnr_yuv_db(psnr: tuple[float, float, float]) -> float:
    """(6 Y + U + V) / 8 of PSNRs in dB."""
    return (6 * psnr[0] + psnr[1] + psnr[2]) / 8
