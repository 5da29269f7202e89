"""How many processes code the GOPs of a video side by side, and how many threads each has."""

from __future__ import annotations

import os
from dataclasses import dataclass
from math import ceil
from typing import NamedTuple

from bitstream_spec import StreamHeader, Trailer

_PIXELS_MAX = 1280 * 720
"""Of larger pictures one frame keeps several threads busy, and each process holds more than a gigabyte."""
_PIXELS_PER_JOB = 10_000_000
"""A process starts in about the time in which another decodes so many."""
_BYTES_PER_JOB = 2**31
"""Memory that a machine has to have for each: a process takes a bit over half of it at the largest."""


class Jobs(NamedTuple):
    """Processes, and the threads of each; 0 threads leaves it to torch."""

    n: int
    threads: int


@dataclass(frozen=True)
class Extent:
    """What is known of a video before it is coded."""

    width: int
    height: int
    n_frames: int
    n_gops: int

    @classmethod
    def of_stream(cls, header: StreamHeader, trailer: Trailer, n_frames: int | None = None) -> Extent:
        """Take it from a stream's ends; `n_frames` are wanted, None: all."""
        n_wanted = min(n_frames or trailer.n_frames, trailer.n_frames)
        n_gops = sum(point.first_frame_index < n_wanted for point in trailer.seek_index)
        return cls(header.width, header.height, n_wanted, max(1, n_gops))

    @classmethod
    def of_video(cls, width: int, height: int, n_frames: int, keyint: int) -> Extent:
        """Take it from an encoder's input; scene cuts, which make more GOPs, are not known yet."""
        return cls(width, height, n_frames, 1 if keyint < 1 else ceil(n_frames / keyint))


def choose_jobs(jobs: int, threads: int, device: str, extent: Extent | None) -> Jobs:
    """Return how to share the work; `jobs` and `threads` are what was asked for, 0 for what is worth it.

    Several processes that were asked for have one thread each. Without that there are no more than threads,
    or processors, nor than GOPs or memory allows; and one where nothing is known in advance (`extent` is
    None), of short videos, of large pictures, and where networks do not run on processors.
    """
    if jobs != 0:
        return Jobs(jobs, threads if jobs == 1 else threads or 1)
    n_threads = threads or _n_processors()
    n = 1
    if device == "cpu" and extent is not None and extent.width * extent.height <= _PIXELS_MAX:
        n_worth = extent.width * extent.height * extent.n_frames // _PIXELS_PER_JOB
        n = max(1, min(n_threads, extent.n_gops, n_worth, _n_that_fit()))
    return Jobs(n, threads if n == 1 else n_threads // n)


def _n_that_fit() -> int:
    """Return how many processes this machine's memory is enough for."""
    if not hasattr(os, "sysconf"):  # Windows does not say
        return 1
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // _BYTES_PER_JOB


def _n_processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
