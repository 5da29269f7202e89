"""Decodes a .nvc file into a video or picture file."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

from bitstream_spec import DEFAULT_LIMITS, Limits, StreamHeader
from nvc.errors import ConfigError, MediaError
from nvc.files.ahead import ahead
from nvc.files.decoding import Decoding, Losses, OnFrame, Progress, check_layers, open_decoders
from nvc.files.jobs import Extent, choose_jobs
from nvc.files.part import StreamPart
from nvc.files.pending import STANDARD_STREAM, check_target, pending_path
from nvc.files.source import open_stream
from nvc.files.summary import DecodeSummary
from nvc.files.workers import frames_in_flight
from nvc.media import VideoInfo, VideoWriter, open_output

_MAX_SECONDS = 10**9


def decode(
    input: str | Path,
    output: str | Path,
    *,
    device: str = "cpu",
    threads: int = 0,
    jobs: int = 1,
    verify: bool = True,
    layers: int | None = None,
    start_s: float | None = None,
    duration_s: float | None = None,
    n_frames: int | None = None,
    conceal: bool = False,
    follow_s: float | None = None,
    lossless: bool = False,
    crf: float = 8,
    limits: Limits = DEFAULT_LIMITS,
    overwrite: bool = False,
    on_frame: OnFrame | None = None,
) -> DecodeSummary:
    """Decode the stream `input` into the video `output`, whose suffix tells its kind; sound is copied.

    "-" is a stream on standard input and y4m on standard output. `start_s` and `duration_s`, in seconds from
    the first frame, and `n_frames` choose a part, which then begins at time 0. `layers` leaves out
    those above so many; frames whose upper layers are damaged or missing are decoded by those below. For
    `lossless` and `crf` see `nvc.media.open_output`. More than one of `jobs` decode GOPs side by side, in
    processes of one thread each unless `threads` says otherwise, 0 as many as are worth it; the frames are
    the same. `follow_s` waits for a file that is still being written until it has not grown for so many
    seconds.

    Without `verify` damage to a frame's base layer goes unnoticed until it leads to what no stream holds.
    If the stream is damaged, cut short or over the `limits`, the output holds the frames before that place
    and the summary says so in `fault`; with `conceal` it goes on with the next whole GOP, and the last frame
    before a gap is repeated in it. Without any whole frame the error is raised.
    Raises StreamError, MediaError, ModelError, WorkerError if one of several processes dies, and ConfigError.
    """
    began = time.monotonic()
    _check_part(start_s, duration_s, n_frames)
    check_target(output, input, overwrite=overwrite)
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(open_stream(input, follow_s))
        reader = file.reader(limits)
        header = reader.header
        check_layers(layers, header)
        trailer = reader.read_trailer() if file.seekable() else None
        is_whole = start_s is None and duration_s is None and n_frames is None
        n_expected = trailer.n_frames if trailer and is_whole else n_frames
        part = StreamPart(reader, start_s, duration_s, n_frames)
        losses = Losses(header, None if start_s else 0)
        progress = Progress(header, file, n_expected, on_frame, layers)
        is_known = start_s is None and duration_s is None and str(output) != STANDARD_STREAM
        extent = Extent.of_stream(header, trailer, n_frames) if trailer and is_known else None
        sharing = choose_jobs(jobs, threads, device, extent)
        crew = stack.enter_context(open_decoders(header, device, sharing, verify, layers))
        decoding = Decoding(
            part,
            crew,
            losses,
            progress,
            n_in_flight=frames_in_flight(header.width, header.height, sharing.n),
            can_seek=file.seekable(),
            goes_on=conceal,
            fills=conceal,
        )
        with _open_target(output, header, lossless, crf, threads) as writer:
            with ahead(decoding, file.stop) as items:
                for item in items:
                    writer.write(item)
            if not progress.tally.n_frames:
                raise losses.first_error or MediaError(
                    f"cannot decode {file.name}: no frame is in that part of it"
                )
            if conceal:
                trailer = trailer or reader.trailer
                n_total = trailer.n_frames if trailer else reader.n_frames
                for filler in decoding.end(min(n_total, part.end_index or n_total)):
                    writer.write(filler)
    seconds = time.monotonic() - began
    return DecodeSummary(
        input=str(input),
        output=str(output),
        model_name=header.model_name,
        model_id=header.model_id_hex,
        width=header.width,
        height=header.height,
        n_frames=progress.tally.n_frames,
        duration_s=progress.tally.duration_s,
        verified=verify,
        seconds=seconds,
        decode_fps=progress.tally.n_frames / seconds,
        fault=None if losses.first_error is None else str(losses.first_error),
        concealed=conceal,
        n_layers=progress.n_layers,
        n_reduced_frames=progress.n_reduced_frames,
        layer_fault=progress.layer_fault,
        n_lost_frames=losses.n_frames,
        losses=tuple(losses.found),
        notices=tuple(writer.notices),
    )


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
