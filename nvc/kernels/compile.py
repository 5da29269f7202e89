"""How kernels are compiled, cached and spread over threads."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import numba
import torch

Function = Callable[..., Any]

# IEEE 754 as it stands: no reordering, no fused multiply-add. Integers are not checked for division by
# zero as Python's are, and no kernel divides them.
_OPTIONS: Any = {"nogil": True, "fastmath": False, "error_model": "numpy"}


def kernel(function: Function) -> Function:
    """Compile on first use, kept on disk where a folder for it can be written."""
    try:
        compiled: Function = numba.njit(cache=True, **_OPTIONS)(function)
    except RuntimeError:  # no folder beside the source nor in the user's home
        compiled = numba.njit(**_OPTIONS)(function)
    return compiled


def inlined(function: Function) -> Function:
    """A part of kernels, compiled with each of them."""
    compiled: Function = numba.njit(**_OPTIONS)(function)
    return compiled


@lru_cache(maxsize=1)
def _pool(n_threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(n_threads, thread_name_prefix="nvc-kernel")


# Waking a thread takes about as long as this many multiplications.
_WORK_MIN = 2_000_000


def spread(run: Callable[[int, int], object], n_rows: int, work: int) -> None:
    """Call run(first, last) for ranges that together are all rows, on torch's number of threads.

    work: multiplications of all rows; little work stays in this thread.
    """
    n = min(torch.get_num_threads(), n_rows, 1 + work // _WORK_MIN)
    if n <= 1:
        run(0, n_rows)
        return
    edges = [n_rows * i // n for i in range(n + 1)]
    others = [_pool(torch.get_num_threads() - 1).submit(run, edges[i], edges[i + 1]) for i in range(1, n)]
    run(0, edges[1])
    for other in others:
        other.result()
