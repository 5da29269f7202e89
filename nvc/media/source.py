"""Opens what a video is read from: a file, standard input or a binary stream."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, BinaryIO, cast

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from nvc.errors import MediaError
from nvc.media.facts import reason
from nvc.piped import PipedInput

Source = str | Path | BinaryIO

_NO_VIDEO_FORMATS = {"tty"}
"""FFmpeg draws text files with its terminal; a text file is no video all the same."""


def open_container(source: str | Path | PipedInput, name: str) -> InputContainer:
    """Open `source`, called `name` in messages. Raises MediaError if FFmpeg cannot make sense of it."""
    file: str | PipedInput
    if isinstance(source, (str, Path)):
        if not Path(source).is_file():
            raise MediaError(f"cannot read {name}: no such file")
        # The prefix keeps FFmpeg from taking a colon in the name for a protocol.
        file = f"file:{source}"
    else:
        file = source
    # A "%" in a picture's name is no pattern; a playlist may name local files only.
    options = {"pattern_type": "none", "protocol_whitelist": "file,pipe,crypto,data"}
    try:
        return av.open(cast(Any, file), "r", container_options=options, metadata_errors="replace")
    except (av.FFmpegError, OSError, ValueError) as exc:
        if isinstance(source, PipedInput):
            source.raise_interrupt()
        raise MediaError(f"cannot read {name}: {reason(exc)}") from exc


def piped(source: Source) -> str | Path | PipedInput:
    """Wrap what is no path; "-" is standard input."""
    if source == "-":
        return PipedInput(sys.stdin.buffer)
    return source if isinstance(source, (str, Path)) else PipedInput(source)


def first_video_stream(container: InputContainer, name: str) -> VideoStream:
    """Return the first stream of moving pictures or the picture. Raises MediaError if there is none."""
    if container.format.name not in _NO_VIDEO_FORMATS:
        for stream in container.streams.video:
            is_cover = bool(stream.disposition & Disposition.attached_pic)
            if stream.codec_context is not None and not is_cover:
                return stream
    raise MediaError(f"cannot read {name}: there is no video in it")
