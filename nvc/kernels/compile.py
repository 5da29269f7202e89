"""How kernels are compiled and cached."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numba
import numpy as np

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
