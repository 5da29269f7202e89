"""Writes MP4, QuickTime and Matroska files: encoded pictures with exact times, and copied audio."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.container import OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from bitstream_spec import AudioPacket, AudioTrack
from nvc.errors import MediaError
from nvc.frames import Frame
from nvc.media.audio import AudioOutput
from nvc.media.facts import REFUSALS, name_of, reason
from nvc.media.info import VideoInfo
from nvc.media.pixels import to_picture
from nvc.media.writer import Target, VideoWriter

_MUXERS = {"mp4": "mp4", "mov": "mov", "mkv": "matroska"}
_DEFAULT_RATE = Fraction(25)
_MIN_MOVIE_TIMESCALE = 1000
_MIN_SLICED_SIZE = 64
"""FFV1's slices (level 3) fail on pictures of a few rows or columns."""
_X264 = {"preset": "veryfast", "bf": "0"}
_VP9_IN_ORDER = {"lag-in-frames": "0", "auto-alt-ref": "0", "deadline": "realtime", "cpu-used": "6"}


@dataclass(frozen=True)
class VideoCoding:
    """How pictures are encoded in mp4 and mov; mkv is always lossless."""

    lossless: bool = False
    crf: float = 8
    """Constant rate factor of H.264 and VP9, 0 to 51, lower is better."""
    threads: int = 0
    """0 = as many as FFmpeg likes."""

    def codec(self, format_name: str, info: VideoInfo) -> tuple[str, dict[str, str]]:
        """Return the encoder and its options. No encoder reorders frames, so pts and dts agree."""
        width, height = info.width, info.height
        reshaped = info.sample_aspect_ratio not in (None, 1)
        if format_name == "mkv":
            if reshaped and width % 2 == 0 and height % 2 == 0:
                # PyAV cannot tell Matroska the aspect ratio of FFV1; H.264 has it in its own header.
                return "libx264", _X264 | {"qp": "0"}
            if min(width, height) < _MIN_SLICED_SIZE:
                return "ffv1", {"level": "1", "g": "1"}
            return "ffv1", {"level": "3", "g": "1", "slicecrc": "1"}
        if width % 2 or height % 2:
            if format_name == "mov":
                raise MediaError(f"cannot write {width}x{height} to mov: odd sizes need mp4, mkv or y4m")
            quality = {"lossless": "1"} if self.lossless else {"crf": f"{self.crf:g}"}
            return "libvpx-vp9", quality | _VP9_IN_ORDER
        if self.lossless:
            return "libx264", _X264 | {"qp": "0"}
        return "libx264", _X264 | {"profile": "high", "crf": f"{self.crf:g}"}


class MovieWriter(VideoWriter):
    """Muxes while it encodes; the header is written with the first packet."""

    def __init__(
        self,
        target: Target,
        info: VideoInfo,
        audio_tracks: Sequence[AudioTrack],
        format: str,
        coding: VideoCoding,
    ) -> None:
        self.notices: list[str] = []
        self._name = name_of(target)
        self._info = info
        self._tracks = tuple(audio_tracks)
        self._durations: dict[int, int] = {}
        self._n_frames = 0
        self._closed = False
        is_path = isinstance(target, (str, Path))
        options = _muxer_options(format, info.time_base, is_path)
        try:
            self._container: OutputContainer = av.open(
                f"file:{target}" if isinstance(target, (str, Path)) else target,
                "w",
                format=_MUXERS[format],
                container_options=options,
            )
            self._stream = self._add_video(format, coding)
            self._audio = [self._add_audio(number, format) for number in range(len(self._tracks))]
            self._container.metadata.update(dict(info.metadata))
        except REFUSALS as exc:
            raise MediaError(f"cannot write {self._name}: {reason(exc)}") from exc

    def write(self, item: Frame | AudioPacket) -> None:
        if self._closed:
            raise ValueError("the writer is closed")
        if isinstance(item, Frame):
            self._info.require_size(item.width, item.height)
        try:
            if isinstance(item, AudioPacket):
                output = self._audio[item.track]
                if output is not None:
                    self._container.mux(output.packet(item))
            else:
                self._write_frame(item)
        except REFUSALS as exc:
            raise MediaError(f"cannot write {self._name}: {reason(exc)}") from exc

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._n_frames == 0:
            raise MediaError(f"cannot write {self._name}: there is no frame")
        try:
            self._mux_video(self._stream.encode(None))
            self._container.close()
        except REFUSALS as exc:
            raise MediaError(f"cannot write {self._name}: {reason(exc)}") from exc

    def abort(self) -> None:
        if not self._closed:
            self._closed = True
            with contextlib.suppress(*REFUSALS):
                self._container.close()

    def _write_frame(self, frame: Frame) -> None:
        picture = to_picture(frame)
        picture.pts = frame.pts
        picture.time_base = self._info.time_base
        picture.color_range, picture.colorspace = self._info.colour.range, self._info.colour.matrix
        self._n_frames += 1
        self._durations[frame.pts] = frame.duration
        self._mux_video(self._stream.encode(picture))

    def _mux_video(self, packets: Sequence[Packet[VideoStream]]) -> None:
        for packet in packets:
            duration = self._durations.pop(packet.pts, 0) if packet.pts is not None else 0
            if duration:
                packet.duration = duration
            self._container.mux(packet)

    def _add_video(self, format_name: str, coding: VideoCoding) -> VideoStream:
        info = self._info
        encoder, options = coding.codec(format_name, info)
        stream = self._container.add_stream(encoder, rate=info.frame_rate or _DEFAULT_RATE, options=options)
        assert isinstance(stream, VideoStream)
        if encoder == "libvpx-vp9":
            self.notices.append(f"coded as VP9: H.264 cannot hold the odd size {info.width}x{info.height}")
        codec = stream.codec_context
        codec.width, codec.height = info.width, info.height
        codec.pix_fmt = "yuv420p"
        codec.time_base = stream.time_base = info.time_base
        codec.thread_count = coding.threads
        if encoder == "ffv1" and info.sample_aspect_ratio not in (None, 1):
            self.notices.append(f"left out the sample aspect ratio {info.sample_aspect_ratio}")
        if info.sample_aspect_ratio:
            codec.sample_aspect_ratio = info.sample_aspect_ratio
        colour = info.colour
        codec.color_range, codec.colorspace = colour.range, colour.matrix
        codec.color_primaries, codec.color_trc = colour.primaries, colour.transfer
        if colour.chroma_location:
            codec.options = codec.options | {"chroma_sample_location": str(colour.chroma_location)}
        if info.display_matrix is not None:
            if hasattr(stream, "set_display_matrix"):
                stream.set_display_matrix(info.display_matrix)
            else:
                self.notices.append("left out the rotation: this needs PyAV 18")
        return stream

    def _add_audio(self, number: int, format_name: str) -> AudioOutput | None:
        track = self._tracks[number]
        try:
            return AudioOutput(self._container, track)
        except REFUSALS as exc:
            what = f"audio track {number} ({track.codec})"
            self.notices.append(f"left out {what}, which {format_name} cannot take: {reason(exc)}")
            return None


def _muxer_options(format_name: str, time_base: Fraction, is_path: bool) -> dict[str, str]:
    if format_name == "mkv":
        return {}
    # The track counts in the video's own ticks; edit lists, which hold a late start, in a multiple of them.
    timescale = time_base.denominator
    movie_timescale = timescale * -(-_MIN_MOVIE_TIMESCALE // timescale)
    options = {"video_track_timescale": str(timescale), "movie_timescale": str(movie_timescale)}
    options["strict"] = "experimental"  # TrueHD audio
    # Moving the index to the front reads the file again, which only works by name.
    return options | {"movflags": "+faststart"} if is_path else options
