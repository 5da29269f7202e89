"""Places frames in time, and cuts a part out of a video together with its sound."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from bitstream_spec import AudioPacket


@dataclass(frozen=True)
class TimedPicture:
    """A decoded picture, not yet converted, and its place in the stream's time base."""

    picture: VideoFrame
    pts: int
    duration: int


class Clock:
    """Gives each frame the pts of the file, or the next one where that is missing or does not increase.

    A frame's duration is the time to the next frame's pts; so each is known only when the next has come.
    """

    def __init__(self, stream: VideoStream) -> None:
        self._time_base = stream.time_base or Fraction(1, 25)
        rate = stream.average_rate or stream.guessed_rate
        self._step = max(1, round(1 / (rate * self._time_base))) if rate else 1
        self._end = None if stream.duration is None else (stream.start_time or 0) + stream.duration
        self._waiting: TimedPicture | None = None
        self.n_repaired = 0

    def place(self, picture: VideoFrame) -> TimedPicture | None:
        """Take the next picture in display order; return the one before it, if any."""
        before = self._waiting
        pts = self._ticks(picture, picture.pts)
        if pts is None:
            pts = before.pts + self._step if before else self._ticks(picture, picture.dts) or 0
            self.n_repaired += 1
        elif before and pts <= before.pts:
            pts = before.pts + 1
            self.n_repaired += 1
        # PyAV before 14.2 has no duration on frames.
        duration = self._ticks(picture, getattr(picture, "duration", 0)) or 0
        self._waiting = TimedPicture(picture, pts, max(0, duration))
        if before is None:
            return None
        self._step = pts - before.pts
        return replace(before, duration=self._step)

    def last(self) -> TimedPicture | None:
        """Return the picture that still waits; it lasts until the track ends, as far as that is known."""
        item, self._waiting = self._waiting, None
        if item and self._end is not None and 0 < self._end - item.pts <= 4 * max(self._step, item.duration):
            return replace(item, duration=self._end - item.pts)
        return item

    def _ticks(self, picture: VideoFrame, ticks: int | None) -> int | None:
        if ticks is None or picture.time_base in (None, self._time_base):
            return ticks
        return round(ticks * picture.time_base / self._time_base)


class FrameSelection:
    """Keeps frames skip ... skip + n_frames - 1, and the audio that sounds while they are shown."""

    def __init__(
        self, skip: int, n_frames: int | None, time_base: Fraction, audio_bases: Sequence[Fraction]
    ) -> None:
        self._skip = skip
        self._left = n_frames
        self._time_base = time_base
        self._audio_bases = audio_bases
        self._begun = skip == 0
        self._start: Fraction | None = None
        self._end: Fraction | None = None
        """Where the frames so far end; audio after that waits, as it may turn out to be too late."""
        self._waiting: list[AudioPacket] = []
        self._finished: set[int] = set()

    @property
    def wants_pictures(self) -> bool:
        """False once the last frame is there: only audio may follow."""
        return self._left is None or self._left > 0

    def expected(self, n_frames: int | None) -> int | None:
        """Return how many of the file's frames will be kept; call before `select`."""
        if n_frames is None:
            return None
        kept = max(0, n_frames - self._skip)
        return kept if self._left is None else min(kept, self._left)

    def select(self, items: Iterable[TimedPicture | AudioPacket]) -> Iterator[TimedPicture | AudioPacket]:
        """Pass on what is kept, in order; stops before `items` ends if nothing more can be kept."""
        for item in items:
            if isinstance(item, AudioPacket):
                self._waiting.append(item)
            elif self.wants_pictures:
                yield from self._take_picture(item)
            if self._begun:
                yield from self._release()
            if not self.wants_pictures and len(self._finished) == len(self._audio_bases):
                return

    def _take_picture(self, item: TimedPicture) -> Iterator[TimedPicture]:
        now = item.pts * self._time_base
        if not self._begun:
            self._waiting = [packet for packet in self._waiting if self._audio_end(packet) > now]
            if self._skip:
                self._skip -= 1
                return
            self._begun = True
            self._start = now
        if self._left is not None:
            self._left -= 1
            self._end = now + max(1, item.duration) * self._time_base
        yield item

    def _release(self) -> Iterator[AudioPacket]:
        """Give the waiting audio packets that are known to overlap the kept frames."""
        waiting, self._waiting = self._waiting, []
        for packet in waiting:
            if self._left is not None and (self._end is None or self._audio_start(packet) >= self._end):
                if self.wants_pictures:
                    self._waiting.append(packet)
                else:
                    self._finished.add(packet.track)
            elif self._start is None or self._audio_end(packet) > self._start:
                yield packet

    def _audio_start(self, packet: AudioPacket) -> Fraction:
        ticks = packet.pts if packet.pts is not None else packet.dts
        return (ticks or 0) * self._audio_bases[packet.track]

    def _audio_end(self, packet: AudioPacket) -> Fraction:
        return self._audio_start(packet) + packet.duration * self._audio_bases[packet.track]
