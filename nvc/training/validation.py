"""The same held-out clips again and again: how a run really goes."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from nvc.motion_search import MotionSearch
from nvc.training.data import Batch, Cache

VALIDATION_QPS = (8, 24, 40, 56)


def validation_batches(cache: Cache, crop: int, n_frames: int, n_clips: int) -> list[Batch]:
    """Centre crops of the first frames of held-out clips, one clip of each source in turn."""
    by_source: dict[str, list[Batch]] = {}
    motion = MotionSearch()
    for entry in cache.validation:
        if entry.n_frames < n_frames or min(entry.width, entry.height) < crop:
            continue
        planes = cache.frames(entry, 0, n_frames)
        x, y = (entry.width - crop) // 4 * 2, (entry.height - crop) // 4 * 2
        luma = np.ascontiguousarray(planes[0][:, y : y + crop, x : x + crop])
        u, v = (
            np.ascontiguousarray(p[:, y // 2 : (y + crop) // 2, x // 2 : (x + crop) // 2]) for p in planes[1:]
        )
        batch = Batch.of_planes(luma[None], u[None], v[None], motion)
        by_source.setdefault(entry.source, []).append(batch)
    rounds = max((len(b) for b in by_source.values()), default=0)
    order = [b[i] for i in range(rounds) for b in by_source.values() if i < len(b)]
    return order[:n_clips]


class AveragedWeights:
    """Puts averaged weights into a codec for the length of a `with` block."""

    def __init__(self, codec: nn.Module, average: dict[str, torch.Tensor]) -> None:
        self.parameters, self.average = dict(codec.named_parameters()), average

    def __enter__(self) -> None:
        self.kept = {name: p.detach().clone() for name, p in self.parameters.items()}
        self._copy(self.average)

    def __exit__(self, *_: object) -> None:
        self._copy(self.kept)

    def _copy(self, values: dict[str, torch.Tensor]) -> None:
        with torch.no_grad():
            for name, value in values.items():
                self.parameters[name].copy_(value)
