"""Opens a file for writing; its suffix tells the kind."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from bitstream_spec import AudioTrack
from nvc.errors import MediaError
from nvc.media.facts import name_of
from nvc.media.info import VideoInfo
from nvc.media.movie import MovieWriter, VideoCoding
from nvc.media.picture import PictureWriter
from nvc.media.writer import Target, VideoWriter
from nvc.media.y4m import Y4mWriter

FORMATS = ("mp4", "mov", "mkv", "y4m", "png", "jpg")
"""The kinds of output, named by their suffix."""

_SUFFIXES = {".jpeg": "jpg", ".m4v": "mp4", ".qt": "mov"} | {f".{name}": name for name in FORMATS}


def open_output(
    target: Target,
    info: VideoInfo,
    audio_tracks: Sequence[AudioTrack] = (),
    *,
    format: str | None = None,
    lossless: bool = False,
    crf: float = 8,
    threads: int = 0,
) -> VideoWriter:
    """Open a video or picture for writing.

    `target` is a path, "-" for y4m on standard output, or a binary file; `format`, one of FORMATS, overrides
    the suffix and is needed for a binary file (mp4, mov and mkv need one that can seek).

    mp4, mov: H.264, High profile, near-lossless at constant rate factor `crf` (0 to 51, lower is better), or
    `lossless`: exact planes, which fewer players show. Times are exact. Odd sizes are beyond H.264 4:2:0 and
    are written as VP9. mkv: always exact planes, as FFV1 (as lossless H.264 where pixels are not square), but
    times are rounded to Matroska's milliseconds.
    y4m: exact planes; no pts, no sound. png, jpg: one frame.

    Raises MediaError if the format is unknown or the file cannot be made.
    """
    name = format or ("y4m" if target == "-" else _format_of(target))
    if name not in FORMATS:
        raise MediaError(f"cannot write format {name}: expected one of {', '.join(FORMATS)}")
    if name == "y4m":
        return Y4mWriter(sys.stdout.buffer if target == "-" else target, info, audio_tracks)
    if target == "-":
        raise MediaError(f"cannot write {name} to standard output: only y4m")
    if name in ("png", "jpg"):
        return PictureWriter(target, info, name, audio_tracks)
    coding = VideoCoding(lossless=lossless, crf=crf, threads=threads)
    return MovieWriter(target, info, audio_tracks, name, coding)


def _format_of(target: Target) -> str:
    suffix = Path(name_of(target)).suffix.lower()
    if suffix not in _SUFFIXES:
        raise MediaError(
            f"cannot tell the format of {name_of(target)} by its suffix: expected .{', .'.join(FORMATS)}"
        )
    return _SUFFIXES[suffix]
