"""Reads any video or picture that FFmpeg knows as 8-bit 4:2:0 frames and untouched audio packets."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import chain
from typing import cast

import av
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from bitstream_spec import AudioPacket, AudioTrack
from nvc.errors import MediaError
from nvc.frames import Frame
from nvc.media.audio import AudioInput
from nvc.media.facts import (
    colour_of,
    container_metadata,
    display_matrix_of,
    estimate_n_frames,
    name_of,
)
from nvc.media.info import VideoInfo
from nvc.media.pixels import PlaneReader
from nvc.media.source import Source, first_video_stream, open_container, piped
from nvc.media.timing import Clock, FrameSelection, TimedPicture
from nvc.piped import PipedInput

_Item = TimedPicture | AudioPacket


def open_video(source: Source, *, skip: int = 0, n_frames: int | None = None) -> VideoReader:
    """Open a video or picture for reading; close it with `with` or `close()`.

    `source` is a path, "-" for standard input, or a binary file; what is piped may be y4m or any format that
    can be read without seeking. The first `skip` frames are left out, then at most `n_frames` are read.
    Raises MediaError if the source cannot be read or holds no video.
    """
    if skip < 0 or (n_frames is not None and n_frames < 1):
        raise ValueError(f"invalid skip {skip} or n_frames {n_frames} (expected at least 0 and 1)")
    return VideoReader(source, skip, n_frames)


class VideoReader:
    """Yields frames in display order, and audio packets where they stand in the file.

    Frames keep the pts of the file; one that is missing or does not increase is replaced. Of a part of the
    video (skip, n_frames) only the audio packets that overlap the kept frames in time are given.
    """

    info: VideoInfo
    audio_tracks: tuple[AudioTrack, ...]
    notices: list[str]
    """One line for each thing that is not handed on exactly as it is in the file; may grow while reading."""

    def __init__(self, source: Source, skip: int = 0, n_frames: int | None = None) -> None:
        self.name = name_of(source)
        self._input = piped(source)
        self._container = open_container(self._input, self.name)
        try:
            self._stream = first_video_stream(self._container, self.name)
            self._stream.thread_type = "AUTO"
            self._audio = AudioInput(self._container)
            self._clock = Clock(self._stream)
            time_base = self._stream.time_base or Fraction(1, 25)
            audio_bases = [track.time_base for track in self._audio.tracks]
            self._selection = FrameSelection(skip, n_frames, time_base, audio_bases)
            self._n_promised = self._selection.expected(self._stream.frames) or 0
            self._n_damaged = 0
            self._items = self._look_ahead(self._demux())
        except BaseException:
            self._container.close()
            raise

    def __iter__(self) -> Iterator[Frame | AudioPacket]:
        """Read on to the end, once. Raises MediaError if the pictures change their size on the way."""
        n_read = 0
        for item in self._selection.select(self._items):
            n_read += isinstance(item, TimedPicture)
            yield item if isinstance(item, AudioPacket) else self._convert(item)
        if n_read < self._n_promised:
            self.notices.append(f"the file counts {self._n_promised} frames, {n_read} could be read")
        if self._n_damaged:
            self.notices.append(f"{self._n_damaged} packets or frames of the video are damaged")
        if self._clock.n_repaired:
            self.notices.append(f"{self._clock.n_repaired} frames had no usable pts and got the next one")

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def stop(self) -> None:
        """Let another thread that waits for piped input in here come to the end of it."""
        if isinstance(self._input, PipedInput):
            self._input.stop()

    def close(self) -> None:
        """Release the file; nothing can be read after that."""
        self._container.close()

    def _look_ahead(self, items: Iterator[_Item]) -> Iterator[_Item]:
        """Decode up to the first frame: it alone tells the real pixel format, colour and rotation."""
        ahead: list[_Item] = []
        for item in items:
            ahead.append(item)
            if isinstance(item, TimedPicture):
                break
        else:
            raise MediaError(f"cannot read {self.name}: none of its video can be decoded")
        self._planes = PlaneReader(item.picture, colour_of(self._stream, item.picture))
        self.info = self._describe(item.picture)
        self.audio_tracks = self._audio.tracks
        self.notices = self._planes.notices + self._audio.notices
        return chain(ahead, items)

    def _describe(self, picture: VideoFrame) -> VideoInfo:
        stream = self._stream
        format_name = self._container.format.name
        is_still = format_name == "image2" or format_name.endswith("_pipe")
        n_frames = 1 if is_still else estimate_n_frames(self._container, stream)
        return VideoInfo(
            width=picture.width,
            height=picture.height,
            time_base=stream.time_base or Fraction(1, 25),
            frame_rate=stream.average_rate or stream.guessed_rate or None,
            sample_aspect_ratio=stream.sample_aspect_ratio or None,
            colour=self._planes.colour,
            display_matrix=display_matrix_of(picture),
            n_frames=self._selection.expected(n_frames),
            is_still=is_still,
            metadata=container_metadata(self._container),
        )

    def _demux(self) -> Iterator[_Item]:
        packets = self._container.demux([self._stream, *self._audio.streams])
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                self._raise_interrupt()
                break
            except (av.FFmpegError, OSError):
                self._raise_interrupt()
                self._n_damaged += 1
                break
            self._raise_interrupt()
            # At the end come empty packets, one per stream, whose own stream_index is not set.
            if not packet.size:
                continue
            if packet.stream_index != self._stream.index:
                yield self._audio.copy_packet(packet)
            elif self._selection.wants_pictures:
                yield from self._decode(packet)
        if self._selection.wants_pictures:
            yield from self._decode(None)
            last = self._clock.last()
            if last:
                yield last

    def _raise_interrupt(self) -> None:
        if isinstance(self._input, PipedInput):
            self._input.raise_interrupt()

    def _decode(self, packet: Packet[Stream] | None) -> Iterator[TimedPicture]:
        """Decode one packet, or the rest if there is none; what is damaged is counted and left out."""
        try:
            pictures = self._stream.decode(cast("Packet[VideoStream] | None", packet))
        except (av.FFmpegError, OSError):
            self._n_damaged += 1
            return
        for picture in pictures:
            self._n_damaged += picture.is_corrupt
            before = self._clock.place(picture)
            if before:
                yield before

    def _convert(self, item: TimedPicture) -> Frame:
        size = item.picture.width, item.picture.height
        if size != (self.info.width, self.info.height):
            raise MediaError(
                f"{self.name} changes its picture size from {self.info.width}x{self.info.height} "
                f"to {size[0]}x{size[1]} on the way; that is not supported"
            )
        return Frame(*self._planes.read(item.picture), pts=item.pts, duration=item.duration)
