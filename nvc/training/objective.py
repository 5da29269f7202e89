"""What training minimises: rate plus distortion, each qp at its own exchange rate."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from nvc.models.config import N_QP
from nvc.models.picture_coder import FINEST_STEP, QP_PER_CHROMA_DOUBLING, QP_PER_DOUBLING, Picture

# At high rate a uniform quantiser of step q has distortion q**2 / 12 and trades it for rate at
# 6 / q**2 / ln(2)... of which practical encoders use 1 / (0.13 q**2) (HM: 0.85 * 2**(-8/3) = 0.134).
STEP_TO_LAMBDA = 0.134
LUMA_SHARE = 6 / 8


def lambda_table() -> Tensor:
    """Bits that one unit of squared error in a luma and in a chroma sample is worth; float32 [64, 2].

    Either by its quantiser step, so that an error of one step costs the same bits everywhere.
    """
    doubling = torch.tensor([QP_PER_DOUBLING, QP_PER_CHROMA_DOUBLING])
    step = FINEST_STEP * torch.exp2(torch.arange(N_QP)[:, None] / doubling)
    return LUMA_SHARE / (STEP_TO_LAMBDA * step**2)


def balance_table() -> Tensor:
    """Weights that make a per cent of rate-distortion cost count alike at every qp; float32 [64]."""
    return torch.exp2((torch.arange(N_QP) - N_QP / 2) / QP_PER_DOUBLING * 0.85)


def block_distortion(x: Picture, decoded: Picture, lambdas: Tensor) -> Tensor:
    """Squared error of each 16x16 block in bits per luma pixel; [b, h/16, w/16].

    lambdas: rows of `lambda_table`, [b, 1, 1, 2] or [b, h/16, w/16, 2].
    """
    y, u, v = (
        F.avg_pool2d(((a - b) ** 2)[:, None], size)[:, 0]
        for a, b, size in zip(x, decoded, (16, 8, 8), strict=True)
    )
    return y * lambdas[..., 0] + (u + v) * lambdas[..., 1] * (1 / 4)


def luma_psnr_db(x: Picture, decoded: Picture) -> float:
    """Mean over the batch of each picture's luma PSNR."""
    mse = ((x[0] - decoded[0]) ** 2).flatten(1).mean(1).clamp(min=1e-3)
    return float((10 * torch.log10(255**2 / mse.detach())).mean())


def draw_qp(batch: int, height: int, width: int, as_map: bool, generator: torch.Generator) -> Tensor:
    """Random qp: int64 [b, 1, 1], or piecewise constant maps [b, height/16, width/16]."""
    base = torch.randint(0, N_QP, (batch, 1, 1), generator=generator)
    if not as_map:
        return base
    rows, columns = math.ceil(height / 64), math.ceil(width / 64)
    offsets = torch.randint(-12, 13, (batch, rows, columns), generator=generator)
    offsets = offsets.repeat_interleave(4, 1).repeat_interleave(4, 2)
    return (base + offsets[:, : height // 16, : width // 16]).clamp(0, N_QP - 1)
