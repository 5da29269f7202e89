"""Threads that kernels, and whatever else can be done side by side, are spread over."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from functools import lru_cache
from queue import SimpleQueue
from typing import Any, TypeVar

from nvc.kernels import n_threads

Result = TypeVar("Result")

# Waking a thread takes about as long as this many multiplications.
_WORK_MIN = 3_000_000

_here = threading.local()  # is_busy: what this thread runs is a part of something spread already


def _run(run: Callable[[int, int], object], first: int, last: int) -> None:
    _here.is_busy = True
    try:
        run(first, last)
    finally:
        _here.is_busy = False


def _serve(tasks: SimpleQueue[Any]) -> None:
    while True:
        *task, done = tasks.get()
        try:
            _run(*task)
            done.put(None)
        except BaseException as error:  # for `spread` to raise
            done.put(error)


@lru_cache(maxsize=1)
def _team(n_threads: int) -> SimpleQueue[Any]:
    """Threads that wait for tasks; a pool of futures takes ten times as long to wake them."""
    tasks: SimpleQueue[Any] = SimpleQueue()
    for _ in range(n_threads):
        threading.Thread(target=_serve, args=(tasks,), name="nvc-kernels", daemon=True).start()
    return tasks


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_team.cache_clear)  # threads stay behind


def spread(run: Callable[[int, int], object], n_rows: int, work: int) -> None:
    """Call run(first, last) for ranges that together are all rows, on as many threads as kernels have.

    work: multiplications of all rows; little work stays in this thread, and so does what is a part of
    something spread already.
    """
    n = min(n_threads(), n_rows, 1 + work // _WORK_MIN)
    if n <= 1 or getattr(_here, "is_busy", False):
        run(0, n_rows)
        return
    edges = [n_rows * i // n for i in range(n + 1)]
    tasks, done = _team(n_threads() - 1), SimpleQueue[Any]()
    for i in range(1, n):
        tasks.put((run, edges[i], edges[i + 1], done))
    try:
        _run(run, 0, edges[1])
    finally:
        errors = [error for _ in range(1, n) if (error := done.get()) is not None]
    if errors:
        raise errors[0]


def side_by_side(*runs: Callable[[], Result]) -> list[Result]:
    """What these return, in their order; each is worth a thread."""
    found: dict[int, Result] = {}

    def run(first: int, last: int) -> None:
        for index in range(first, last):
            found[index] = runs[index]()

    spread(run, len(runs), len(runs) * _WORK_MIN)
    return [found[index] for index in range(len(runs))]
