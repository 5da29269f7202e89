"""Decodes what was chosen of a stream, in order, and keeps account of what cannot be decoded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial

from bitstream_spec import AudioPacket, FramePacket, FrameType, StreamError, StreamHeader
from nvc.errors import ConfigError, DecodeError, MediaError
from nvc.files.jobs import Jobs
from nvc.files.part import Fault, StreamPart, WantedFrame
from nvc.files.source import CountingFile
from nvc.files.summary import FrameReport, FrameTally, Loss
from nvc.files.workers import Coder, Crew, in_order
from nvc.frames import Frame

OnFrame = Callable[[FrameReport], None]
Task = tuple[FramePacket, int]
_MAX_LOSSES = 1000
_MAX_REPEATS = 2**16
"""A stream may claim that any number of frames is missing; a longer gap is left open."""


def check_layers(n_layers: int | None, header: StreamHeader) -> None:
    """Raise ConfigError if a stream does not have so many layers."""
    if n_layers is not None and not 1 <= n_layers <= len(header.layers):
        raise ConfigError(f"{n_layers} layers are asked for, and the stream has {len(header.layers)}")


@dataclass(frozen=True)
class Decoded:
    """A frame by the highest layer that could be decoded, which is the last of `n_layers`."""

    frame: Frame
    n_layers: int


DecoderCrew = Crew[Task, Task, Decoded, None]


def open_decoders(
    header: StreamHeader, device: str, jobs: Jobs, verify: bool, n_layers: int | None = None
) -> DecoderCrew:
    """Make the workers of a decode."""
    return Crew(partial(_Coder, header, device, jobs.threads, verify, n_layers), jobs.n)


class _Coder(Coder[Task, Task, Decoded, None]):
    """The decoder as a worker has it."""

    def __init__(
        self, header: StreamHeader, device: str, threads: int, verify: bool, n_layers: int | None
    ) -> None:
        from nvc.decoder import Decoder  # takes seconds: what is no stream is refused before

        self._decoder = Decoder(header, device=device, threads=threads, verify=verify, n_layers=n_layers)
        self.facts = None

    def prepare(self, task: Task) -> Task:
        return task

    def code(self, task: Task) -> Decoded:
        frames = self._decoder.decode_layers(*task)
        return Decoded(frames[-1], len(frames))


class Progress:
    """Counts decoded frames and reports each.

    n_reduced_frames: how many were decoded by fewer layers than were wanted; layer_fault: the first damage
    that is a reason for it.
    """

    def __init__(
        self,
        header: StreamHeader,
        file: CountingFile,
        n_expected: int | None,
        on_frame: OnFrame | None,
        n_layers: int | None = None,
    ) -> None:
        self.tally = FrameTally(header)
        self.n_layers = n_layers or len(header.layers)
        self.n_reduced_frames = 0
        self.layer_fault: str | None = None
        self._file = file
        self._n_expected = n_expected
        self._on_frame = on_frame

    def add(self, packet: FramePacket, index: int, n_layers: int) -> None:
        """Take note of frame `index`, which was decoded by so many layers."""
        self.n_reduced_frames += n_layers < self.n_layers
        n_whole = packet.n_whole_layers
        if n_whole < min(self.n_layers, len(packet.layers)) and self.layer_fault is None:
            self.layer_fault = f"frame {index}: layer {n_whole} is damaged"
        size_bytes = sum(len(part.payload) for part in packet.substreams)
        self.tally.add(packet, size_bytes)
        if self._on_frame is not None:
            self._on_frame(
                FrameReport(
                    n_done=self.tally.n_frames,
                    n_expected=self._n_expected,
                    fraction_done=self._file.fraction_read if self._n_expected is None else None,
                    frame_type=packet.frame_type.name,
                    qp=packet.qp,
                    total_bytes=self._file.n_read,
                    time_s=self.tally.time_s(packet.pts),
                )
            )


class Losses:
    """Notes which frames are missing between those that were decoded, why, and what may stand in for them."""

    def __init__(self, header: StreamHeader, next_index: int | None) -> None:
        """`next_index` is the number of the first frame to come, None if any may be the first."""
        self.first_error: StreamError | DecodeError | MediaError | None = None
        self.n_frames = 0
        self.found: list[Loss] = []
        self._reason: str | None = None
        self._next_index = next_index
        self._before: Frame | None = None
        self._time_base = header.time_base
        rate = header.frame_rate
        self._nominal_step = max(1, round(1 / (rate * header.time_base))) if rate else 1

    def note(self, error: StreamError | DecodeError | MediaError) -> None:
        """Take note of why something is lost; of several reasons for one gap the first is told."""
        self.first_error = self.first_error or error
        self._reason = self._reason or str(error)

    def expect(self, index: int) -> None:
        """Take note that the frame of this number is to be shown, if it can be decoded."""
        if self._next_index is None:
            self._next_index = index

    def bridge(self, index: int, after: Frame | None) -> Iterator[Frame]:
        """Close the account before frame `index`, which is `after` or the end; yield what fills the gap.

        Fillers are the last frame before the gap, or the first after it, evenly spaced in time.
        """
        first = index if self._next_index is None else self._next_index
        n_lost = max(0, index - first)
        times = self._times(n_lost, after)
        if n_lost or self._reason:
            self.n_frames += n_lost
            start = times[0] if times else after.pts if after else None
            start_s = None if start is None else float(start * self._time_base)
            if len(self.found) < _MAX_LOSSES:
                self.found.append(Loss(first, n_lost, start_s, self._reason or "not in the stream"))
        shown = self._before or after
        if shown is not None:
            ends = [*times[1:], after.pts if after else times[-1] + self._nominal_step] if times else []
            for pts, end in zip(times, ends, strict=True):
                yield replace(shown, pts=pts, duration=end - pts)
        self._reason = None
        self._next_index = index + (after is not None)
        self._before = after or self._before

    def is_late(self, frame: Frame) -> bool:
        """Whether its time is not after the last one's, which can be where damage is not looked for."""
        return self._before is not None and frame.pts <= self._before.pts

    def _times(self, n_lost: int, after: Frame | None) -> range | list[int]:
        """When the lost frames are shown, as far as the frames around tell: pts that increase."""
        before = self._before
        if n_lost > _MAX_REPEATS:
            return []
        if before is not None and after is not None:
            n = min(n_lost, after.pts - before.pts - 1)
            return [before.pts + (after.pts - before.pts) * k // (n + 1) for k in range(1, n + 1)]
        known = before or after
        if known is None:
            return []
        step = known.duration or self._nominal_step
        first = known.pts + step if before is not None else known.pts - n_lost * step
        return range(first, first + n_lost * step, step)


class Decoding:
    """Iterates over the frames that are shown and the sound, in order.

    Ends at the first fault, or goes on behind it where that is possible, and fills the gaps if asked to.
    """

    def __init__(
        self,
        part: StreamPart,
        crew: DecoderCrew,
        losses: Losses,
        progress: Progress,
        *,
        n_in_flight: int,
        can_seek: bool,
        goes_on: bool,
        fills: bool,
    ) -> None:
        self._part = part
        self._can_seek = can_seek
        self._crew = crew
        self._losses = losses
        self._progress = progress
        self._n_in_flight = n_in_flight
        self._goes_on = goes_on
        self._fills = fills

    def __iter__(self) -> Iterator[Frame | AudioPacket]:
        for item, future in in_order(self._submitted(), self._n_in_flight):
            if isinstance(item, AudioPacket):
                yield item
            elif isinstance(item, Fault):
                self._losses.note(item.error)
            elif future is not None:
                if item.is_shown:
                    self._losses.expect(item.index)
                try:
                    decoded = future.result()
                except (StreamError, DecodeError) as error:
                    self._losses.note(error)
                else:
                    if item.is_shown:
                        yield from self._show(item, decoded)
            if self._losses.first_error is not None and not self._goes_on:
                return

    def end(self, index: int) -> Iterator[Frame]:
        """Yield what stands in for lost frames up to `index`, where the part ends."""
        for filler in self._losses.bridge(index, None):
            if self._fills:
                yield filler

    def _submitted(self) -> Iterator[tuple[WantedFrame | AudioPacket | Fault, Future[Decoded] | None]]:
        for item in self._part.read(can_seek=self._can_seek):
            if isinstance(item, WantedFrame):
                begins_gop = item.packet.frame_type is FrameType.I
                yield item, self._crew.submit((item.packet, item.index), begins_gop=begins_gop)
            else:
                yield item, None

    def _show(self, item: WantedFrame, decoded: Decoded) -> Iterator[Frame]:
        frame = replace(decoded.frame, pts=item.pts)
        if self._losses.is_late(frame):
            return
        for filler in self._losses.bridge(item.index, frame):
            if self._fills:
                yield filler
        yield frame
        self._progress.add(item.packet, item.index, decoded.n_layers)
