"""Writes one frame as a PNG or JPEG picture."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
from av.video.codeccontext import VideoCodecContext

from bitstream_spec import AudioPacket, AudioTrack, ColourRange
from nvc.errors import MediaError
from nvc.frames import Frame
from nvc.media.facts import REFUSALS, name_of, reason
from nvc.media.info import VideoInfo
from nvc.media.pixels import to_coded_picture
from nvc.media.writer import Target, VideoWriter

_JPEG_QUANTISER = 2
"""The finest that FFmpeg's JPEG encoder uses by default."""


class PictureWriter(VideoWriter):
    """Holds exactly one frame. JPEG keeps the planes of full-range BT.601 video; the rest is converted."""

    def __init__(
        self, target: Target, info: VideoInfo, format: str, audio_tracks: Sequence[AudioTrack] = ()
    ) -> None:
        self.notices = ["left out the audio: a picture has none"] if audio_tracks else []
        if info.display_matrix is not None:
            self.notices.append(f"left out the rotation: it is not written to {format} pictures")
        self._target = target
        self._info = info
        self._format = format
        self._data: bytes | None = None
        self._closed = False

    def write(self, item: Frame | AudioPacket) -> None:
        if isinstance(item, AudioPacket):
            return
        if self._data is not None:
            raise MediaError(f"a {self._format} picture holds one frame only; mp4, mkv and y4m hold more")
        try:
            self._data = self._encode(item)
        except REFUSALS as exc:
            raise MediaError(f"cannot encode a {self._format} picture: {reason(exc)}") from exc

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._data is None:
            raise MediaError(f"cannot write a {self._format} picture: there is no frame")
        try:
            if isinstance(self._target, (str, Path)):
                Path(self._target).write_bytes(self._data)
            else:
                self._target.write(self._data)
        except OSError as exc:
            raise MediaError(f"cannot write {name_of(self._target)}: {reason(exc)}") from exc

    def abort(self) -> None:
        self._closed = True

    def _encode(self, frame: Frame) -> bytes:
        colour = self._info.colour
        picture = to_coded_picture(frame, colour, "rgb24" if self._format == "png" else "yuvj420p")
        codec = av.CodecContext.create("png" if self._format == "png" else "mjpeg", "w")
        assert isinstance(codec, VideoCodecContext)
        codec.width, codec.height = frame.width, frame.height
        codec.pix_fmt = picture.format.name
        codec.time_base = Fraction(1, 25)
        if self._info.sample_aspect_ratio:
            codec.sample_aspect_ratio = self._info.sample_aspect_ratio
        if self._format == "jpg":
            codec.color_range = ColourRange.FULL
            codec.options = {"qmin": str(_JPEG_QUANTISER), "qmax": str(_JPEG_QUANTISER)}
        elif hasattr(picture, "color_trc"):  # PyAV 17
            picture.color_primaries, picture.color_trc = colour.primaries, colour.transfer
        picture.pts = 0
        return b"".join(bytes(packet) for packet in [*codec.encode(picture), *codec.encode(None)])
