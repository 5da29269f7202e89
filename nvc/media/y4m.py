"""Writes y4m, the raw pictures that tools pass to each other through pipes."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

from bitstream_spec import AudioPacket, AudioTrack, ColourRange
from nvc.errors import MediaError
from nvc.frames import Frame
from nvc.media.facts import name_of, reason
from nvc.media.info import VideoInfo
from nvc.media.writer import Target, VideoWriter

_CHROMA_TAGS = {1: "420mpeg2", 3: "420paldv"}
"""By FFmpeg's number of the chroma location; all else is written as 420jpeg, the commonest."""
_RANGE_TAGS = {ColourRange.LIMITED: " XCOLORRANGE=LIMITED", ColourRange.FULL: " XCOLORRANGE=FULL"}
_DEFAULT_RATE = Fraction(25)


class Y4mWriter(VideoWriter):
    """One frame after the other at the average frame rate: y4m has neither pts nor sound.

    A binary file that is handed in stays open.
    """

    def __init__(self, target: Target, info: VideoInfo, audio_tracks: Sequence[AudioTrack] = ()) -> None:
        self.notices = ["left out the audio: y4m holds pictures only"] if audio_tracks else []
        self._info = info
        self._owns_file = isinstance(target, (str, Path))
        rate = info.frame_rate or _DEFAULT_RATE
        aspect = info.sample_aspect_ratio or Fraction(0)
        header = (
            f"YUV4MPEG2 W{info.width} H{info.height} F{rate.numerator}:{rate.denominator} Ip "
            f"A{aspect.numerator}:{aspect.denominator if aspect else 0} "
            f"C{_CHROMA_TAGS.get(info.colour.chroma_location, '420jpeg')}"
            f"{_RANGE_TAGS.get(info.colour.range, '')}\n"
        )
        try:
            file = Path(target).open("wb") if isinstance(target, (str, Path)) else target  # noqa: SIM115
            file.write(header.encode())
        except OSError as exc:
            raise MediaError(f"cannot write {name_of(target)}: {reason(exc)}") from exc
        self._file: BinaryIO | None = file

    def write(self, item: Frame | AudioPacket) -> None:
        if isinstance(item, AudioPacket):
            return
        if self._file is None:
            raise ValueError("the writer is closed")
        self._info.require_size(item.width, item.height)
        try:
            self._file.write(b"FRAME\n")
            for plane in item.planes:
                self._file.write(plane.tobytes())
        except OSError as exc:
            raise MediaError(f"cannot write y4m: {reason(exc)}") from exc

    def close(self) -> None:
        file, self._file = self._file, None
        if file is None:
            return
        try:
            file.flush()
            if self._owns_file:
                file.close()
        except OSError as exc:
            raise MediaError(f"cannot write y4m: {reason(exc)}") from exc

    def abort(self) -> None:
        file, self._file = self._file, None
        if file is not None and self._owns_file:
            with contextlib.suppress(OSError):
                file.close()
