"""Quality of decoded pictures against the source: PSNR always, MS-SSIM and VMAF where they can be had."""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nvc.bench.clip import Clip
from nvc.errors import MediaError
from nvc.frames import Frame, Plane
from nvc.metrics import psnr_db

_MS_SSIM_MIN_SIDE = 161
"""Four halvings must leave an 11-sample window (Wang et al., 2003, as pytorch-msssim has it)."""
_BATCH = 4


@dataclass(frozen=True)
class Quality:
    """PSNR of Y, U, V per frame in dB; means over the frames of the others, None where there are none."""

    psnr_db: list[tuple[float, float, float]]
    ms_ssim: float | None
    vmaf: float | None


def compare(clip: Clip, decoded: Iterable[Frame], raw: Path) -> Quality:
    """Compare all frames; the decoded planes are written to `raw` on the way.

    Raises MediaError if the decoded pictures differ in number or size.
    """
    psnrs: list[tuple[float, float, float]] = []
    ms_ssim = MsSsim() if can_measure_ms_ssim(clip) else None
    with raw.open("wb") as file:
        for frame in decoded:
            if len(psnrs) == clip.n_frames:
                raise MediaError(f"more than {clip.n_frames} frames were decoded")
            if (frame.width, frame.height) != (clip.width, clip.height):
                raise MediaError(
                    f"decoded frames are {frame.width}x{frame.height}, expected {clip.width}x{clip.height}"
                )
            original = clip[len(psnrs)]
            psnrs.append(psnr_db(original, frame))
            if ms_ssim is not None:
                ms_ssim.add(original.y, frame.y)
            for plane in frame.planes:
                file.write(plane.tobytes())
    if len(psnrs) != clip.n_frames:
        raise MediaError(f"{len(psnrs)} frames were decoded, expected {clip.n_frames}")
    vmaf = measure_vmaf(clip, raw) if vmaf_command() else None
    return Quality(psnrs, ms_ssim.mean() if ms_ssim is not None else None, vmaf)


def can_measure_ms_ssim(clip: Clip) -> bool:
    """Whether the pictures are large enough for the five scales of MS-SSIM."""
    return min(clip.width, clip.height) >= _MS_SSIM_MIN_SIDE


class MsSsim:
    """Mean MS-SSIM of luma planes, a few at a time."""

    def __init__(self) -> None:
        self._pairs: list[tuple[Plane, Plane]] = []
        self._sum, self._count = 0.0, 0

    def add(self, original: Plane, decoded: Plane) -> None:
        self._pairs.append((original, decoded))
        if len(self._pairs) == _BATCH:
            self._flush()

    def mean(self) -> float:
        self._flush()
        return self._sum / self._count

    def _flush(self) -> None:
        if not self._pairs:
            return
        import pytorch_msssim
        import torch

        a, b = (
            torch.from_numpy(np.stack(planes)[:, None].astype(np.float32))
            for planes in zip(*self._pairs, strict=True)
        )
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # five times faster than two beside other work
        try:
            with torch.inference_mode():
                values = pytorch_msssim.ms_ssim(a, b, data_range=255, size_average=False)
        finally:
            torch.set_num_threads(threads)
        self._sum += float(values.sum())
        self._count += len(self._pairs)
        self._pairs = []


@functools.cache
def vmaf_command() -> str | None:
    """Return the program that can measure VMAF: `vmaf` itself, or an ffmpeg with libvmaf; None without."""
    if shutil.which("vmaf"):
        return "vmaf"
    if shutil.which("ffmpeg"):
        listing = subprocess.run(
            ["ffmpeg", "-hide_banner", "-filters"], capture_output=True, text=True, check=False
        )
        if " libvmaf " in listing.stdout:
            return "ffmpeg"
    return None


def measure_vmaf(clip: Clip, decoded: Path) -> float:
    """Return the mean VMAF of raw decoded planes, by the program's own default model."""
    log = decoded.with_suffix(".vmaf.json")
    size = f"{clip.width}x{clip.height}"
    if vmaf_command() == "vmaf":
        command = ["vmaf", "-r", str(clip.raw), "-d", str(decoded), "-w", str(clip.width)]
        command += ["-h", str(clip.height), "-p", "420", "-b", "8", "--json", "-o", str(log)]
    else:
        raw = ["-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", size, "-r", "25"]
        command = ["ffmpeg", "-v", "error", "-nostdin", *raw, "-i", decoded.name, *raw, "-i", str(clip.raw)]
        command += ["-lavfi", f"libvmaf=log_fmt=json:log_path={log.name}", "-f", "null", "-"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=decoded.parent)
    if done.returncode:
        raise MediaError(f"{command[0]} failed on VMAF: {done.stderr.strip()[-200:]}")
    return float(json.loads(log.read_text())["pooled_metrics"]["vmaf"]["mean"])
