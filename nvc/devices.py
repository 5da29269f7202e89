"""Where networks run: devices and threads."""

from __future__ import annotations

import cv2
import torch

from nvc import kernels
from nvc.errors import ConfigError


def use_threads(device: str, threads: int) -> None:
    """Set the process's number of threads (0 leaves it) and make sure that the device is there."""
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("no CUDA device is available here; use the device 'cpu'")
    if device == "cpu":
        kernels.set_threads(threads)
    elif threads:
        torch.set_num_threads(threads)
    if threads:
        cv2.setNumThreads(threads)
