"""Runs a benchmark: plans the rows, reuses finished ones, measures the rest, clip by clip."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path

from nvc.bench.clip import Clip, load_clip, unique_names
from nvc.bench.codec import BenchCodec
from nvc.bench.measure import empty_row, measure, save_picture
from nvc.bench.measurement import Measurement
from nvc.bench.measures import vmaf_command
from nvc.bench.results import Journal
from nvc.errors import ConfigError

PICTURES = "pictures"
_RAW = ".raw-"


@dataclass(frozen=True)
class Plan:
    """What to measure: every codec at each of its qps on every clip.

    n_frames: from the start of each clip, None for all. keyint: -1 for one keyframe. jobs: processes at once;
    more than one makes wall seconds longer than they are alone.
    """

    clips: tuple[Path, ...]
    codecs: tuple[BenchCodec, ...]
    out: Path
    n_frames: int | None = None
    keyint: int = -1
    jobs: int = 1

    def __post_init__(self) -> None:
        unique_names(self.clips)
        if self.jobs < 1:
            raise ConfigError(f"jobs {self.jobs} is not positive")
        if self.keyint != -1 and self.keyint < 1:
            raise ConfigError(f"keyint {self.keyint} is neither positive nor -1")

    def settings(self) -> Iterator[tuple[BenchCodec, int]]:
        """Yield each codec with each of its qps."""
        for codec in self.codecs:
            for qp in codec.qps:
                yield codec, qp

    @property
    def n_rows(self) -> int:
        return len(self.clips) * sum(len(codec.qps) for codec in self.codecs)


@dataclass(frozen=True)
class Progress:
    """A finished row: number `done` of `total`; `reused` if it was measured in an earlier run."""

    row: Measurement
    done: int
    total: int
    reused: bool


def run(plan: Plan, on_clip: Callable[[Clip], None] = lambda clip: None) -> Iterator[Progress]:
    """Measure all rows of a plan and yield each when it is there.

    Every row is in the journal of the out folder before it is yielded. A codec that fails gives a row with
    an error. Raises MediaError if a clip cannot be read, OSError if the folder cannot be written.
    """
    plan.out.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(plan.out)
    journal = Journal(plan.out)
    done = 0
    for path in plan.clips:
        with tempfile.TemporaryDirectory(prefix=f"{_RAW}{os.getpid()}-", dir=plan.out) as folder:
            clip = load_clip(path, plan.n_frames, Path(folder))
            on_clip(clip)
            save_picture(clip[clip.n_frames // 2], source_path(plan.out, clip.name))
            missing: list[tuple[BenchCodec, int]] = []
            for codec, qp in plan.settings():
                found = journal.find(empty_row(clip, codec, qp, plan.keyint))
                if found is None or not _is_complete(found, plan.out):
                    missing.append((codec, qp))
                else:
                    done += 1
                    yield Progress(replace(found, clip=clip.name), done, plan.n_rows, True)
            for row in _measure_all(clip, missing, plan):
                journal.add(row)
                done += 1
                yield Progress(row, done, plan.n_rows, False)


def _is_complete(row: Measurement, out: Path) -> bool:
    """Whether a row of an earlier run has all that this run would give it."""
    return picture_path(out, row).exists() and (row.vmaf is not None or vmaf_command() is None)


def _remove_leftovers(out: Path) -> None:
    """Remove the raw planes of runs that were killed; a run that is still alive keeps its own."""
    for folder in out.glob(_RAW + "*"):
        process = folder.name.removeprefix(_RAW).split("-")[0]
        if process.isdecimal() and not Path("/proc", process).exists() and Path("/proc/self").exists():
            shutil.rmtree(folder, ignore_errors=True)


def source_path(out: Path, clip: str) -> Path:
    """Name the picture of a clip's middle frame before coding, in lossless WebP."""
    return out / PICTURES / clip / "source.webp"


def picture_path(out: Path, row: Measurement) -> Path:
    """Name the picture of a row's middle frame, in lossless WebP."""
    return out / PICTURES / row.clip / f"{row.codec}-{row.qp}.webp"


def _measure_all(clip: Clip, tasks: Sequence[tuple[BenchCodec, int]], plan: Plan) -> Iterator[Measurement]:
    arguments = [
        (clip, codec, qp, plan.keyint, picture_path(plan.out, empty_row(clip, codec, qp, plan.keyint)))
        for codec, qp in tasks
    ]
    if plan.jobs == 1 or len(tasks) < 2:
        for argument in arguments:
            yield measure(*argument)
        return
    # Forking a process that has run torch's threads may hang.
    spawning = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(plan.jobs, len(tasks)), mp_context=spawning) as pool:
        futures = [pool.submit(measure, *argument) for argument in arguments]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
