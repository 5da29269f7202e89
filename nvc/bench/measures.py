"""Quality of decoded pictures against the source: PSNR always, MS-SSIM and VMAF where they can be had."""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from nvc.bench.clip import Clip
from nvc.bench.ms_ssim import MIN_SIDE, ms_ssim
from nvc.errors import MediaError
from nvc.frames import Frame
from nvc.metrics import psnr_db


@dataclass(frozen=True)
class Quality:
    """Per frame: PSNR of Y, U, V in dB; MS-SSIM and VMAF, empty where they could not be measured."""

    psnr_db: list[tuple[float, float, float]]
    ms_ssim: list[float]
    vmaf: list[float]


def compare(clip: Clip, decoded: Iterable[Frame], raw: Path) -> Quality:
    """Compare all frames; the decoded planes are written to `raw` on the way.

    Raises MediaError if the decoded pictures differ in number or size.
    """
    psnrs: list[tuple[float, float, float]] = []
    similarities: list[float] = []
    large_enough = can_measure_ms_ssim(clip)
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
            if large_enough:
                similarities.append(ms_ssim(original.y, frame.y))
            for plane in frame.planes:
                file.write(plane.tobytes())
    if len(psnrs) != clip.n_frames:
        raise MediaError(f"{len(psnrs)} frames were decoded, expected {clip.n_frames}")
    return Quality(psnrs, similarities, measure_vmaf(clip, raw) if vmaf_command() else [])


def can_measure_ms_ssim(clip: Clip) -> bool:
    """Whether the pictures are large enough for the five scales of MS-SSIM."""
    return min(clip.width, clip.height) >= MIN_SIDE


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


def measure_vmaf(clip: Clip, decoded: Path) -> list[float]:
    """Return the VMAF of each frame of raw decoded planes, by the program's own default model.

    Raises MediaError if the program fails or leaves frames out.
    """
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
    values = [float(frame["metrics"]["vmaf"]) for frame in json.loads(log.read_text())["frames"]]
    if len(values) != clip.n_frames:
        raise MediaError(f"{command[0]} gave VMAF of {len(values)} frames, expected {clip.n_frames}")
    return values
