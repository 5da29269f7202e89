"""Compiled kernels for the exact networks on a CPU: the same bits as the torch code beside them, sooner.

They run where numba can be imported, unless the environment says NVC_KERNELS=0; everywhere else (CUDA,
training, other processors) the torch code runs, which stays the definition of every operation.

Why the bits are the same, in one place:

* Products are sums of integers: int16 activations times int8 weights in int32. Layers refuse weights with
  which a sum could reach 2**24, so no order of adding and no width of vector can change one, and float32
  holds each. The lapped transform's sums are integers below 2**53, in float64.
* All else is one IEEE-754 float32 operation at a time, in the order of the torch code. Kernels are compiled
  without any licence to reorder, to contract (no fused multiply-add) or to assume finite numbers.
* Constants are float32: a Python number would make the operation float64.
* Rounding half to even is adding and subtracting 1.5 * 2**23, after clamping to a limit far below 2**22;
  the limits are integers, so that clamping before or after rounding is the same.

`tests/kernels` compares every kernel with its torch code on random tensors, and whole streams with kernels
on and off.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

INSTALLED = importlib.util.find_spec("numba") is not None
_wanted = INSTALLED and os.environ.get("NVC_KERNELS", "1") != "0"

_n_threads = torch.get_num_threads()


def n_threads() -> int:
    """How many threads kernels run on."""
    return _n_threads


def set_threads(n: int) -> None:
    """Run kernels on n threads; 0 leaves their number as it is.

    Torch gets one where kernels run: what they leave to it is small, and waking its threads takes longer.
    """
    global _n_threads
    _n_threads = n or _n_threads
    torch.set_num_threads(1 if _wanted else _n_threads)


def wanted() -> bool:
    """Whether kernels may run at all."""
    return _wanted


def usable(*tensors: Tensor) -> bool:
    """Whether kernels may compute with these: float32 on a CPU, no gradients."""
    return (
        _wanted
        and not torch.is_grad_enabled()
        and all(x.device.type == "cpu" and x.dtype == torch.float32 for x in tensors)
    )


def give_up() -> None:
    """Never run kernels again in this process."""
    global _wanted
    _wanted = False
    torch.set_num_threads(_n_threads)


@contextmanager
def switched(on: bool) -> Iterator[None]:
    """Use kernels, or only torch, inside; for tests and measurements."""
    global _wanted
    before = _wanted
    _wanted = on
    try:
        yield
    finally:
        _wanted = before


def each(run: Callable[..., npt.NDArray[np.float32]], *batches: Tensor) -> Tensor:
    """A kernel's results for each picture of a batch, as one tensor."""
    arrays = [run(*(x.numpy() for x in picture)) for picture in zip(*batches, strict=True)]
    return torch.from_numpy(arrays[0][None] if len(arrays) == 1 else np.stack(arrays))
