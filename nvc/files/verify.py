"""Checks a .nvc file by decoding all of it."""

from __future__ import annotations

import time
from pathlib import Path

from bitstream_spec import DEFAULT_LIMITS, Limits
from nvc.files.decoding import Decoding, Losses, OnFrame, Progress, open_decoders
from nvc.files.jobs import Extent, choose_jobs
from nvc.files.part import StreamPart
from nvc.files.source import open_stream
from nvc.files.summary import VerifySummary
from nvc.files.workers import frames_in_flight

_MAX_FAULTS = 20


def verify(
    input: str | Path,
    *,
    device: str = "cpu",
    threads: int = 0,
    jobs: int = 1,
    limits: Limits = DEFAULT_LIMITS,
    on_frame: OnFrame | None = None,
) -> VerifySummary:
    """Decode the whole stream and compare every frame with the checksum its encoder wrote.

    Goes on behind a fault with the next GOP that can be found; several `jobs` decode GOPs side
    by side, 0 as many as are worth it.
    Raises StreamError if not even the header can be used or is over the `limits`, MediaError if the file
    cannot be read, ModelError if the weights are not installed, WorkerError if one of several processes dies.
    """
    began = time.monotonic()
    with open_stream(input) as file:
        reader = file.reader(limits)
        header = reader.header
        trailer = reader.read_trailer() if file.seekable() else None
        losses = Losses(header, 0)
        progress = Progress(header, file, trailer.n_frames if trailer else None, on_frame)
        extent = Extent.of_stream(header, trailer) if trailer else None
        sharing = choose_jobs(jobs, threads, device, extent)
        with open_decoders(header, device, sharing, True) as crew:
            decoding = Decoding(
                StreamPart(reader),
                crew,
                losses,
                progress,
                n_in_flight=frames_in_flight(header.width, header.height, sharing.n),
                can_seek=False,
                goes_on=True,
                fills=False,
            )
            for _ in decoding:
                pass
            trailer = trailer or reader.trailer
            for _ in decoding.end(trailer.n_frames if trailer else reader.n_frames):
                pass
    seconds = time.monotonic() - began
    faults = [loss.reason for loss in losses.found]
    if progress.layer_fault is not None:
        faults.append(progress.layer_fault)
    return VerifySummary(
        input=str(input),
        model_name=header.model_name,
        model_id=header.model_id_hex,
        n_frames=progress.tally.n_frames,
        n_bad_frames=losses.n_frames,
        finished=reader.finished,
        n_layers=progress.n_layers,
        n_reduced_frames=progress.n_reduced_frames,
        faults=tuple(faults[:_MAX_FAULTS]),
        losses=tuple(losses.found),
        seconds=seconds,
        decode_fps=progress.tally.n_frames / seconds,
    )
