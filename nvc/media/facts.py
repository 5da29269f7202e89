"""Reads what a file says beside its samples: colour, rotation, frame count, metadata, and why it failed."""

from __future__ import annotations

import math
import struct
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO, cast

import av
from av.buffer import Buffer
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from bitstream_spec import Colour, ColourRange

UNSPECIFIED = 2
"""H.273's code for "unspecified", the same for primaries, transfer and matrix."""

# Facts of one container or of its muxer; another file has its own.
_TECHNICAL_TAGS = {"major_brand", "minor_version", "compatible_brands", "encoder", "duration"}


def colour_of(stream: VideoStream, frame: VideoFrame) -> Colour:
    """Return the colour tags of the container, completed by those of the decoded frame."""
    codec = stream.codec_context
    # PyAV before 17 does not tell a frame's primaries and transfer.
    primaries, transfer = getattr(frame, "color_primaries", 0), getattr(frame, "color_trc", 0)
    return Colour(
        primaries=_first_specified(codec.color_primaries, primaries),
        transfer=_first_specified(codec.color_trc, transfer),
        matrix=_first_specified(codec.colorspace, frame.colorspace),
        range=ColourRange(codec.color_range or frame.color_range),
    )


def display_matrix_of(frame: VideoFrame) -> tuple[int, ...] | None:
    """Return the nine numbers of the frame's display matrix, or None if it is shown as it is."""
    try:
        data = cast("Buffer | None", frame.side_data.get("DISPLAYMATRIX"))
    except ValueError:  # PyAV 18 does not know EXIF side data and then shows none at all
        return _rotation_matrix(frame.rotation) if frame.rotation else None
    return None if data is None else struct.unpack("=9i", bytes(data)[:36])


def estimate_n_frames(container: InputContainer, stream: VideoStream) -> int | None:
    """Return the number of frames the container promises; None if it promises nothing."""
    counts = [value for key, value in stream.metadata.items() if key.startswith("NUMBER_OF_FRAMES")]
    if stream.frames:
        return stream.frames
    if counts and counts[0].isdecimal():
        return int(counts[0])
    rate = stream.average_rate or stream.guessed_rate
    if stream.duration is not None and stream.time_base:
        seconds = stream.duration * stream.time_base
    elif container.duration is not None:
        seconds = Fraction(container.duration, av.time_base)
    else:
        return None
    return max(1, round(seconds * rate)) if rate and seconds > 0 else None


def container_metadata(container: InputContainer) -> tuple[tuple[str, str], ...]:
    """Return title, date and the like, without what describes only this container."""
    tags = container.metadata.items()
    return tuple((key, value) for key, value in tags if key.lower() not in _TECHNICAL_TAGS)


def name_of(file: str | Path | BinaryIO) -> str:
    """Return what to call a file in a message."""
    if isinstance(file, (str, Path)):
        return "standard input" if file == "-" else str(file)
    return str(getattr(file, "name", "the given file"))


REFUSALS = (av.FFmpegError, OSError, ValueError, OverflowError)
"""How PyAV says that FFmpeg cannot take a value, a stream or a packet."""


def reason(exc: BaseException) -> str:
    """Put FFmpeg's or the system's error into a few words of one line."""
    if isinstance(exc, EOFError):
        return "it ends before any data"
    text = getattr(exc, "strerror", None) or str(exc) or type(exc).__name__
    text = " ".join(text.split()).rstrip(".")
    return text[:1].lower() + text[1:]


def _first_specified(*codes: int) -> int:
    return next((code for code in codes if code not in (0, UNSPECIFIED)), UNSPECIFIED)


def _rotation_matrix(degrees: int) -> tuple[int, ...]:
    """Return the display matrix of a counter-clockwise rotation, as FFmpeg's av_display_rotation_set."""
    cos, sin = (round(65536 * f(math.radians(degrees))) for f in (math.cos, math.sin))
    return cos, -sin, 0, sin, cos, 0, 0, 0, 1 << 30
