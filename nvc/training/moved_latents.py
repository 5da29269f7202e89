"""Training with latents of I frames as the encoder moves them, see nvc/latent_search.py."""

from __future__ import annotations

import torch
from torch import Tensor

from nvc.latent_search import LatentMover, coded_once
from nvc.models.block_modes import Modes
from nvc.models.codec import Codec
from nvc.models.picture_coder import LowerLayer, Picture, Prediction, Prepare


def preparing(codec: Codec, n_steps: int) -> Prepare | None:
    """A Prepare for a codec in training; None for no steps. The analysis network learns as if its latent had
    not been moved."""
    if not n_steps:
        return None
    move = LatentMover(codec.intra, codec.adaptive_filter, n_steps)

    def prepare(
        x: Picture, prediction: Prediction | None, whole: Tensor | None, qp: Tensor, lower: LowerLayer | None
    ) -> tuple[Modes, Tensor]:
        modes, u = codec.intra.prepare(x, prediction, whole, qp, lower)
        with torch.no_grad():
            moved = move(coded_once(codec.intra, x, modes, u.detach(), qp))
        return modes, u + (moved - u.detach())

    return prepare
