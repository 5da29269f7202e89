"""Training with latents of I frames as the encoder moves them, see nvc/latent_search.py."""

from __future__ import annotations

import torch
from torch import Tensor

from nvc.latent_search import LatentMover, coded_once
from nvc.models.block_modes import Modes
from nvc.models.codec import Codec
from nvc.models.picture_coder import LowerLayer, Picture, Prediction, Prepare


def preparing(codec: Codec, n_steps: int) -> Prepare | None:
    """A Prepare for a codec in training; None for no steps.

    The analysis networks learn nothing from it: taught as if nothing moved what they make, they drift to
    where only moving brings it back.
    """
    if not n_steps:
        return None
    move = LatentMover(codec.intra, codec.adaptive_filter, n_steps)

    def prepare(
        x: Picture, prediction: Prediction | None, whole: Tensor | None, qp: Tensor, lower: LowerLayer | None
    ) -> tuple[Modes, Tensor]:
        with torch.no_grad():
            modes, u = codec.intra.prepare(x, prediction, whole, qp, lower)
            return modes, move(coded_once(codec.intra, x, modes, u, qp))

    return prepare
