"""Motion: vectors on the 1/8 grid, coded through a 4x4 DCT, an entropy model of their own and a smoother."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from nvc.models.config import CodecConfig
from nvc.models.latent_coder import LatentCoder, uniform_steps, with_magnitude
from nvc.models.layers import Pointwise, blocks, pad_to_multiple
from nvc.models.quantiser import Port
from nvc.models.transform import LappedTransform
from nvc.models.warp import round_through

N_MOTION = 32  # two components of 4x4 vectors
FINEST_STEP = 2.8  # in 1/16 luma pixel
QP_PER_DOUBLING = 12.0  # as of the picture, so that bits and errors trade alike at every qp
# A vector's squared error times this and the squared slope of the luma under it is the picture's error, each
# in its own quantiser steps, where motion is coded at a qp as much finer as `codec.MOTION_QP_OFFSET` says.
SLOPE_WEIGHT = 0.03
LEAST_WEIGHT, GREATEST_WEIGHT = 0.02, 10.0
VECTOR_MAX = float(1 << 14)


class MotionCoder(nn.Module):
    """Codes vectors [b, h/8, w/8, 2] in 1/16 luma pixel, given those of the frame before."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        width = config.motion_width
        self.transform = LappedTransform(4)
        steps = uniform_steps(FINEST_STEP, torch.full((N_MOTION,), QP_PER_DOUBLING))
        spread = 40.0 / (1.0 + torch.arange(N_MOTION) // 2)
        self.latent_coder = LatentCoder(steps, spread, config.n_motion_hyper, width, config.depth_prior)
        self.conditioning = Pointwise(2 * N_MOTION, width)
        self.smooth_enter = Pointwise(4, width // 2)
        self.smooth = blocks(width // 2, 1)
        self.smooth_leave = Pointwise(width // 2, 2, silent=True)

    def forward(
        self,
        vectors: Tensor | None,
        previous: Tensor,
        qp: Tensor,
        hyper_port: Port,
        port: Port,
        slopes: Tensor | None = None,
    ) -> Tensor:
        """Code `vectors`, or decode them when None; returns decoded vectors, integers in 1/16 pixel.

        slopes: [b, h/8, w/8, 2], the mean squared slope of luma along x and y, for an encoder that rounds
        vectors as coarsely as the picture under them allows.
        """
        _, h, w, _ = previous.shape
        before = self.coefficients(previous)
        energy = with_magnitude((before / self.latent_coder.step(qp)).clamp(-16.0, 16.0))
        y = None if vectors is None else self.coefficients(vectors)
        y_hat = self.latent_coder(y, self.conditioning(energy), qp, hyper_port, port, self.weight(slopes))
        plain = self.vectors(y_hat)[:, :h, :w]
        seen = torch.cat([plain, previous], dim=-1) * (1 / 64)
        change = self.smooth_leave(self.smooth(self.smooth_enter(seen))) * 16.0
        return round_through((plain + change).clamp(-VECTOR_MAX, VECTOR_MAX))

    @staticmethod
    def weight(slopes: Tensor | None) -> Tensor | None:
        """What a squared error of each coefficient costs, as a multiple of the usual; [b, h/4, w/4, 32]."""
        if slopes is None:
            return None
        pooled = functional.avg_pool2d(pad_to_multiple(slopes, 4).movedim(3, 1), 4).movedim(1, 3)
        return (pooled * SLOPE_WEIGHT).clamp(LEAST_WEIGHT, GREATEST_WEIGHT).repeat(1, 1, 1, N_MOTION // 2)

    def coefficients(self, vectors: Tensor) -> Tensor:
        """[b, h, w, 2] -> [b, h/4, w/4, 32]; the two components' coefficients interleave by frequency."""
        padded = pad_to_multiple(vectors, 4)
        parts = [self.transform(padded[..., i]) for i in range(2)]
        return torch.stack(parts, dim=-1).flatten(3)

    def vectors(self, coefficients: Tensor) -> Tensor:
        """Undoes `coefficients`, on the padded grid."""
        b, h, w, _ = coefficients.shape
        parts = coefficients.reshape(b, h, w, N_MOTION // 2, 2)
        return torch.stack([self.transform.inverse(parts[..., i].contiguous()) for i in range(2)], dim=-1)
