"""Chooses what to decode of a stream: all of it, or a stretch of time together with its sound."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

from bitstream_spec import AudioPacket, FramePacket, GopHeader, StreamError, StreamReader
from bitstream_spec.checks import MAX_TIME
from nvc.errors import MediaError

_AUDIO_LAG_S = 2
"""Sound may stand this much later in the file than the frames that are shown with it."""
_TIME_PRECISION = 10**6


@dataclass(frozen=True)
class WantedFrame:
    """A packet to decode; frames that are not shown only lead up to the start."""

    packet: FramePacket
    index: int
    """The frame's number in the whole stream."""
    is_shown: bool
    pts: int
    """On the output's clock: as in the stream, but with a start, that time becomes 0."""


@dataclass(frozen=True)
class Fault:
    """A place of the stream that cannot be read."""

    error: StreamError | MediaError


class StreamPart:
    """The frames from `start_s` on for `duration_s`, or `n_frames` of them; times count from the first frame.

    In a file that can seek, reading begins at the keyframe at or before the start. Lost frames count, too.
    """

    def __init__(
        self,
        reader: StreamReader,
        start_s: float | None = None,
        duration_s: float | None = None,
        n_frames: int | None = None,
    ) -> None:
        self._reader = reader
        self._time_base = reader.header.time_base
        self._start = _exact(start_s or 0)
        self._end = None if duration_s is None else self._start + _exact(duration_s)
        self._n_frames = n_frames
        self._video_is_over = False
        self._sounding_tracks = set(range(len(reader.header.audio_tracks)))
        self._first_pts: int | None = None
        self._keyframe_pts: int | None = None
        self._leads_up = False
        self.end_index: int | None = None
        """One more than the number of the last frame that is shown, once that is known."""

    def read(self, *, can_seek: bool) -> Iterator[WantedFrame | AudioPacket | Fault]:
        """Yield what to decode and what to copy, in file order, and what is at fault between."""
        if self._start and can_seek:
            self._seek()
        for item in self._whole_stream():
            if isinstance(item, GopHeader):
                self._first_pts = item.first_pts if self._first_pts is None else self._first_pts
                self._leads_up &= self._keyframe_pts is not None and item.first_pts < self._keyframe_pts
            elif isinstance(item, Fault):
                if not self._leads_up:
                    yield item
            elif isinstance(item, AudioPacket):
                yield from self._audio(item)
            else:
                time = self._time(item.pts)
                index = self._reader.n_frames - 1
                if self.end_index is not None and index >= self.end_index:
                    self._video_is_over = True
                    self._end = time if self._end is None else min(self._end, time)
                if not self._video_is_over and (self._end is None or time < self._end):
                    yield from self._frame(item, index, time)
                else:
                    self._video_is_over = True
                    self.end_index = index if self.end_index is None else self.end_index
                    if self._end is not None and time > self._end + _AUDIO_LAG_S:
                        return
            if self._video_is_over and not self._sounding_tracks:
                return

    def _whole_stream(self) -> Iterator[GopHeader | FramePacket | AudioPacket | Fault]:
        while True:
            try:
                yield next(self._reader)
            except StopIteration:
                return
            except (StreamError, MediaError) as error:
                yield Fault(error)
                self._reader.resync()

    def _frame(self, packet: FramePacket, index: int, time: Fraction) -> Iterator[WantedFrame]:
        if self._keyframe_pts is not None and packet.pts < self._keyframe_pts:
            return
        is_shown = time >= self._start
        if is_shown and self._n_frames is not None and self.end_index is None:
            self.end_index = index + self._n_frames
        yield WantedFrame(packet, index, is_shown, packet.pts - self._shift(self._time_base))
        if index + 1 == self.end_index:
            self._video_is_over = True
            self._end = time + max(packet.duration, 1) * self._time_base

    def _audio(self, packet: AudioPacket) -> Iterator[AudioPacket]:
        if not self._start and self._end is None:
            yield packet
            return
        ticks = packet.pts if packet.pts is not None else packet.dts
        if ticks is None or (self._first_pts is None and self._start):
            return
        base = self._reader.header.audio_tracks[packet.track].time_base
        time = ticks * base - (self._first_pts or 0) * self._time_base
        if self._end is not None and time >= self._end:
            self._sounding_tracks.discard(packet.track)
        elif time >= self._start:
            shift = self._shift(base)
            pts, dts = ticks - shift, None if packet.dts is None else packet.dts - shift
            if max(abs(pts), abs(dts or 0)) <= MAX_TIME:
                yield replace(packet, pts=pts, dts=dts)

    def _seek(self) -> None:
        points = self._reader.read_seek_index()
        if not points:
            return
        self._first_pts = points[0].pts
        before = [point for point in points if self._time(point.pts) <= self._start]
        if before:
            self._keyframe_pts = before[-1].pts
            self._leads_up = True
            # Sound may stand before the keyframe it is heard with: read one GOP more for it, undecoded.
            self._reader.seek(before[-2] if self._sounding_tracks and len(before) > 1 else before[-1])

    def _time(self, pts: int) -> Fraction:
        return (pts - (self._first_pts or 0)) * self._time_base

    def _shift(self, base: Fraction) -> int:
        """Return the start in ticks of `base`, rounded up: no shown frame gets a negative time."""
        if not self._start:
            return 0
        return -int(-(self._start + (self._first_pts or 0) * self._time_base) // base)


def _exact(seconds: float) -> Fraction:
    return Fraction(seconds).limit_denominator(_TIME_PRECISION)
