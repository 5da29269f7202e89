"""How kernels are compiled, cached and spread over threads."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any

import numba
import numpy as np

from nvc.kernels import n_threads

Function = Callable[..., Any]

# IEEE 754 as it stands: no reordering, no fused multiply-add. Integers are not checked for division by
# zero as Python's are, and no kernel divides them.
_OPTIONS: Any = {"nogil": True, "fastmath": False, "error_model": "numpy"}


@lru_cache(maxsize=1)
def _sources() -> str:
    """A digest of all kernels' sources, and of the networks' whose constants they are compiled with."""
    digest = hashlib.sha256()
    folder = Path(__file__).parent
    for path in sorted([*folder.glob("*.py"), *(folder.parent / "models").glob("*.py")]):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def kernel(function: Function) -> Function:
    """Compile on first use, kept on disk where a folder for it can be written."""
    compiled: Any = numba.njit(**_OPTIONS)(function)
    # Without a folder, beside the source or in the user's home, it is compiled in every process.
    with contextlib.suppress(RuntimeError):
        compiled.enable_caching()
        # Numba looks at the function's own file alone, but what it inlines stands in others.
        compiled._cache._cache_file._source_stamp = _sources()
        compiled._cache.save_overload = partial(_save_if_possible, compiled._cache.save_overload)
    return compiled


def _save_if_possible(save: Callable[..., None], *overload: Any) -> None:
    """A full disk costs the next process its compiling again, not this one its result."""
    with contextlib.suppress(OSError):
        save(*overload)


def inlined(function: Function) -> Function:
    """A part of kernels, compiled with each of them."""
    compiled: Function = numba.njit(**_OPTIONS)(function)
    return compiled


@inlined
def plus(a, b):
    """a + b of 32-bit integers in 32 bits, where numba's rules would take twice as many and half as fast."""
    return np.int32(np.int32(a) + np.int32(b))


@inlined
def times(a, b):
    """a * b likewise."""
    return np.int32(np.int32(a) * np.int32(b))


# Waking a thread takes about as long as this many multiplications.
_WORK_MIN = 3_000_000


def _serve(tasks: SimpleQueue[Any]) -> None:
    while True:
        run, first, last, done = tasks.get()
        try:
            run(first, last)
            done.put(None)
        except BaseException as error:  # for `spread` to raise
            done.put(error)


@lru_cache(maxsize=1)
def _team(n_threads: int) -> SimpleQueue[Any]:
    """Threads that wait for tasks; a pool of futures takes ten times as long to wake them."""
    tasks: SimpleQueue[Any] = SimpleQueue()
    for _ in range(n_threads):
        Thread(target=_serve, args=(tasks,), name="nvc-kernels", daemon=True).start()
    return tasks


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_team.cache_clear)  # threads stay behind


def spread(run: Callable[[int, int], object], n_rows: int, work: int) -> None:
    """Call run(first, last) for ranges that together are all rows, on as many threads as kernels have.

    work: multiplications of all rows; little work stays in this thread.
    """
    n = min(n_threads(), n_rows, 1 + work // _WORK_MIN)
    if n <= 1:
        run(0, n_rows)
        return
    edges = [n_rows * i // n for i in range(n + 1)]
    tasks, done = _team(n_threads() - 1), SimpleQueue[Any]()
    for i in range(1, n):
        tasks.put((run, edges[i], edges[i + 1], done))
    try:
        run(0, edges[1])
    finally:
        errors = [error for _ in range(1, n) if (error := done.get()) is not None]
    if errors:
        raise errors[0]
