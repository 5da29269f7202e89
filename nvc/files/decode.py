"""Decodes a .nvc file into a video or picture file, and checks .nvc files by decoding them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bitstream_spec import (
    DEFAULT_LIMITS,
    AudioPacket,
    FramePacket,
    GopHeader,
    Limits,
    StreamError,
    StreamHeader,
    StreamReader,
    TruncatedStream,
)
from nvc.errors import ConfigError, DecodeError, MediaError
from nvc.files.ahead import ahead
from nvc.files.part import StreamPart, WantedFrame
from nvc.files.pending import STANDARD_STREAM, check_target, pending_path
from nvc.files.source import CountingFile, open_stream
from nvc.files.summary import DecodeSummary, FrameReport, FrameTally, VerifySummary
from nvc.frames import Frame
from nvc.media import VideoInfo, VideoWriter, open_output

if TYPE_CHECKING:
    from nvc.decoder import Decoder

OnFrame = Callable[[FrameReport], None]
_MAX_FAULTS = 20
_MAX_SECONDS = 10**9


def decode(
    input: str | Path,
    output: str | Path,
    *,
    device: str = "cpu",
    threads: int = 0,
    verify: bool = True,
    start_s: float | None = None,
    duration_s: float | None = None,
    n_frames: int | None = None,
    lossless: bool = False,
    crf: float = 8,
    limits: Limits = DEFAULT_LIMITS,
    overwrite: bool = False,
    on_frame: OnFrame | None = None,
) -> DecodeSummary:
    """Decode the stream `input` into the video `output`, whose suffix tells its kind; sound is copied.

    "-" is a stream on standard input and y4m on standard output. `start_s` and `duration_s`, in seconds from
    the first frame, and `n_frames` choose a part, which then begins at time 0. For `lossless` and `crf` see
    `nvc.media.open_output`. If the stream is damaged, cut short or over the `limits`, the output holds the
    frames before that place and the summary says so in `fault`; without any whole frame the error is raised.
    Raises StreamError, MediaError, ModelError.
    """
    began = time.monotonic()
    _check_part(start_s, duration_s, n_frames)
    check_target(output, input, overwrite=overwrite)
    with open_stream(input) as file:
        reader = file.reader(limits)
        decoder = _open_decoder(reader.header, device, threads, verify)
        part = StreamPart(reader, start_s, duration_s, n_frames)
        frames = _Frames(
            part.read(can_seek=file.seekable()), decoder, reader.header, n_frames, file, on_frame
        )
        with _open_target(output, reader.header, lossless, crf, threads) as writer:
            with ahead(frames) as items:
                for item in items:
                    writer.write(item)
            if not frames.tally.n_frames:
                raise MediaError(f"cannot decode {file.name}: no frame is in that part of it")
    seconds = time.monotonic() - began
    return DecodeSummary(
        input=str(input),
        output=str(output),
        model_name=reader.header.model_name,
        model_id=reader.header.model_id_hex,
        width=reader.header.width,
        height=reader.header.height,
        n_frames=frames.tally.n_frames,
        duration_s=frames.tally.duration_s,
        verified=verify,
        seconds=seconds,
        decode_fps=frames.tally.n_frames / seconds,
        fault=frames.fault,
        notices=tuple(writer.notices),
    )


def verify(
    input: str | Path,
    *,
    device: str = "cpu",
    threads: int = 0,
    limits: Limits = DEFAULT_LIMITS,
    on_frame: OnFrame | None = None,
) -> VerifySummary:
    """Decode the whole stream and compare every frame with the checksum its encoder wrote.

    Goes on behind a fault with the next GOP that can be found. Raises StreamError if not even the header can
    be used or is over the `limits`, MediaError if the file cannot be read, ModelError without the weights.
    """
    began = time.monotonic()
    with open_stream(input) as file:
        reader = file.reader(limits)
        check = _Check(reader, _open_decoder(reader.header, device, threads, True), file, on_frame)
        check.run()
    seconds = time.monotonic() - began
    return VerifySummary(
        input=str(input),
        model_name=reader.header.model_name,
        model_id=reader.header.model_id_hex,
        n_frames=check.tally.n_frames,
        n_bad_frames=reader.n_frames - check.tally.n_frames,
        finished=reader.finished,
        faults=tuple(check.faults),
        seconds=seconds,
        decode_fps=check.tally.n_frames / seconds,
    )


class _Frames:
    """Iterates over decoded frames and copied audio; ends at a fault, if a frame was shown before it."""

    def __init__(
        self,
        items: Iterator[WantedFrame | AudioPacket],
        decoder: Decoder,
        header: StreamHeader,
        n_expected: int | None,
        file: CountingFile,
        on_frame: OnFrame | None,
    ) -> None:
        self.tally = FrameTally(header)
        self.fault: str | None = None
        self._items = items
        self._decoder = decoder
        self._progress = _Progress(self.tally, file, n_expected, on_frame)

    def __iter__(self) -> Iterator[Frame | AudioPacket]:
        try:
            for item in self._items:
                if isinstance(item, AudioPacket):
                    yield item
                    continue
                frame = self._decoder.decode(item.packet)
                if item.is_shown:
                    yield replace(frame, pts=item.pts)
                    self._progress.add(item.packet)
        except (StreamError, DecodeError) as error:
            if not self.tally.n_frames:
                raise
            self.fault = str(error)


class _Check:
    """Decodes all that can be decoded of a stream and notes what cannot."""

    def __init__(
        self, reader: StreamReader, decoder: Decoder, file: CountingFile, on_frame: OnFrame | None
    ) -> None:
        self.tally = FrameTally(reader.header)
        self.faults: list[str] = []
        self._reader = reader
        self._decoder = decoder
        self._progress = _Progress(self.tally, file, None, on_frame)
        self._is_lost = False

    def run(self) -> None:
        while True:
            try:
                item = next(self._reader)
                if isinstance(item, GopHeader):
                    self._is_lost = False
                elif isinstance(item, FramePacket) and not self._is_lost:
                    self._decoder.decode(item)
                    self._progress.add(item)
            except StopIteration:
                return
            except (StreamError, DecodeError) as error:
                # The frames after a lost one cannot be decoded either: one line for all of them.
                is_new = not self._is_lost or isinstance(error, TruncatedStream)
                if is_new and len(self.faults) < _MAX_FAULTS:
                    self.faults.append(str(error))
                self._is_lost = True


class _Progress:
    """Counts decoded frames and reports each."""

    def __init__(
        self, tally: FrameTally, file: CountingFile, n_expected: int | None, on_frame: OnFrame | None
    ) -> None:
        self._tally = tally
        self._file = file
        self._n_expected = n_expected
        self._on_frame = on_frame

    def add(self, packet: FramePacket) -> None:
        size_bytes = sum(len(part.payload) for part in packet.substreams)
        self._tally.add(packet, size_bytes)
        if self._on_frame is not None:
            self._on_frame(
                FrameReport(
                    n_done=self._tally.n_frames,
                    n_expected=self._n_expected,
                    fraction_done=self._file.fraction_read if self._n_expected is None else None,
                    frame_type=packet.frame_type.name,
                    qp=packet.qp,
                    total_bytes=self._file.n_read,
                    time_s=self._tally.time_s(packet.pts),
                )
            )


def _open_decoder(header: StreamHeader, device: str, threads: int, verify: bool) -> Decoder:
    from nvc.decoder import Decoder  # takes seconds: what is no stream is refused before

    return Decoder(header, device=device, threads=threads, verify=verify)


@contextlib.contextmanager
def _open_target(
    output: str | Path, header: StreamHeader, lossless: bool, crf: float, threads: int
) -> Iterator[VideoWriter]:
    info = VideoInfo(
        width=header.width,
        height=header.height,
        time_base=header.time_base,
        frame_rate=header.frame_rate or None,
        sample_aspect_ratio=header.sample_aspect_ratio or None,
        colour=header.colour,
        display_matrix=header.display_matrix,
        is_still=header.is_still,
        metadata=header.metadata,
    )
    with contextlib.ExitStack() as stack:
        standard = str(output) == STANDARD_STREAM
        target = STANDARD_STREAM if standard else stack.enter_context(pending_path(output))
        yield stack.enter_context(
            open_output(target, info, header.audio_tracks, lossless=lossless, crf=crf, threads=threads)
        )


def _check_part(start_s: float | None, duration_s: float | None, n_frames: int | None) -> None:
    if start_s is not None and not 0 <= start_s < _MAX_SECONDS:
        raise ConfigError(f"start {start_s} is negative or not a time")
    if duration_s is not None and not 0 < duration_s < _MAX_SECONDS:
        raise ConfigError(f"duration {duration_s} is not positive")
    if n_frames is not None and n_frames < 1:
        raise ConfigError(f"number of frames {n_frames} is not positive")
