"""The entropy model of one latent: hyperprior, conditioning from outside, and a spatial prior in parts.

Scales and means of the first part of the elements come from the hyper-latent and the conditioning, those
of each later part from the parts before it too. The parts interleave over space and frequency, so every
element sees neighbouring blocks and the adjacent frequencies of its own block. (Balle et al. 2018,
hyperprior; He et al. 2021, checkerboard; Li et al. 2023, quadtree partition.)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from nvc import kernels
from nvc.models.config import N_QP
from nvc.models.layers import Block, Pointwise, blocks, downsample, upsample_to
from nvc.models.quantiser import LOG_SCALE_STEP, SCALE_MIN, Bank, CodingPort, Port

if TYPE_CHECKING:
    from nvc.kernels.latents import PackedParts, Parts

N_KNOTS = 8
N_PARTS = 4


class QpTable(nn.Module):
    """A vector for each qp: linear between a few trained knots, the same bits on every machine."""

    def __init__(self, knots: Tensor, *, learned: bool = True) -> None:
        """knots: [N_KNOTS, n_channels]."""
        super().__init__()
        self.knots: Tensor
        if learned:
            self.knots = nn.Parameter(knots)
        else:
            self.register_buffer("knots", knots)
        position = [qp * (N_KNOTS - 1) / (N_QP - 1) for qp in range(N_QP)]
        below = [min(int(p), N_KNOTS - 2) for p in position]
        self.register_buffer("below", torch.tensor(below), persistent=False)
        weight = torch.tensor([p - i for p, i in zip(position, below, strict=True)], dtype=torch.float32)
        self.register_buffer("weight", weight[:, None], persistent=False)
        self.below: Tensor
        self.weight: Tensor

    def table(self) -> Tensor:
        """[64, n_channels]."""
        return self.knots[self.below] * (1 - self.weight) + self.knots[self.below + 1] * self.weight

    def forward(self, qp: Tensor) -> Tensor:
        """qp: int64 [b, h, w] in 0..63 -> [b, h, w, n_channels]."""
        return (self.fixed if hasattr(self, "fixed") else self.table())[qp]

    def make_exact(self) -> None:
        """Freeze the values, rounded to half precision, in which the weights file holds them."""
        self.set_exact(self.knots.detach().half())

    def set_exact(self, values: Tensor) -> None:
        """values: [N_KNOTS, n_channels] float16."""
        del self.knots
        self.register_buffer("knots", values.float())
        self.register_buffer("fixed", self.table(), persistent=False)
        self.fixed: Tensor


@dataclass(frozen=True)
class Bounds:
    """What is known of a latent before it is coded; all [b, h, w, n].

    low, high: between which every mean is moved, in quantiser steps. row: the highest table row, a whole
    number in float32.
    """

    low: Tensor
    high: Tensor
    row: Tensor

    def of_part(self, index: int, parts: Parts) -> Bounds:
        """The bounds of a part's elements, [h, w, n / 4] each, in coding order."""
        low, high, row = (
            torch.from_numpy(parts.elements(index, b[0].numpy())) for b in (self.low, self.high, self.row)
        )
        return Bounds(low, high, row)

    def move(self, mean: Tensor) -> Tensor:
        return torch.minimum(torch.maximum(mean, self.low), self.high)


class Modulation(nn.Module):
    """Scale and shift features by qp: how one network serves all rates."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gain = QpTable(torch.ones(N_KNOTS, width))
        self.shift = QpTable(torch.zeros(N_KNOTS, width))

    def forward(self, x: Tensor, qp: Tensor) -> Tensor:
        return x * self.gain(qp) + self.shift(qp)


class LatentCoder(nn.Module):
    """Codes a latent y in quantiser steps u = y / step(qp).

    Steps are not learned: what a bit is worth against an error in steps is fixed by them (`thrifty_round`),
    and steps left to their gradient shrank by a third and spent three times too much on fine detail.
    """

    def __init__(
        self, step: Tensor, spread: Tensor, n_hyper: int, width: int, depth: int, bank: Bank
    ) -> None:
        """step: [N_KNOTS, n] quantiser steps. spread: [n] initial standard deviations of y. bank: of y."""
        super().__init__()
        self.bank = bank
        n = step.shape[1]
        self.step = QpTable(step, learned=False)
        first_scale = (torch.log(spread / step / SCALE_MIN) / LOG_SCALE_STEP).clamp(0, 63)
        self.first_scale = QpTable(first_scale)
        self.hyper_scale = QpTable(torch.full((N_KNOTS, n_hyper), 6.0))
        self.hyper_analysis_enter = nn.Sequential(Pointwise(2 * n, width), Block(width))
        self.hyper_analysis_down = Pointwise(4 * width, width)
        self.hyper_analysis = nn.Sequential(Block(width), Pointwise(width, n_hyper, silent=True))
        self.hyper_synthesis = nn.Sequential(Pointwise(n_hyper, width), Block(width))
        self.hyper_up = Pointwise(width, 4 * width)
        self.modulation = Modulation(width)
        self.prior = blocks(width, depth)
        self.spatial_enter = Pointwise(2 * n, width)
        self.spatial_prior = blocks(width, depth)
        self.parameters_of_part = nn.ModuleList(Pointwise(width, 2 * n, silent=True) for _ in range(N_PARTS))

    def code_hyper(self, u: Tensor | None, conditioning: Tensor, qp: Tensor, port: Port) -> Tensor:
        """Code the hyper-latent of u, in quantiser steps; returns the features `code_parts` begins with."""
        z = None if u is None else self.analyse_hyper(u)
        b, h, w, _ = conditioning.shape
        coarse = (b, (h + 1) // 2, (w + 1) // 2)
        z_scale = self.hyper_scale(qp[:, :1, :1]).expand(*coarse, -1)
        z_hat = port.code(z, torch.zeros_like(z_scale), z_scale, None, Bank.HYPER)
        hyper = upsample_to(self.hyper_up(self.hyper_synthesis(z_hat)), conditioning)
        return self.prior(self.modulation(hyper + conditioning, qp))

    def code_parts(
        self,
        u: Tensor | None,
        features: Tensor,
        qp: Tensor,
        port: Port,
        bounds: Bounds | None = None,
    ) -> Tensor:
        """Code u, in quantiser steps; bounds: what a lower layer knows of it. Returns the decoded u."""
        _, h, w, _ = features.shape
        first_scale = self.first_scale(qp)
        if isinstance(port, CodingPort) and self._fits_kernels(features):
            return self._code_parts(u, features, first_scale, port, bounds)
        part = parts_of(h, w, first_scale.shape[-1], features.device)
        u_hat = torch.zeros_like(features[..., :1])
        for index, parameters in enumerate(self.parameters_of_part):
            if index:
                features = self.spatial_prior(features + self.spatial_enter(with_magnitude(u_hat)))
            scale, mean = parameters(features).chunk(2, dim=-1)
            scale = first_scale + scale
            if bounds is not None:
                scale, mean = torch.minimum(scale, bounds.row), bounds.move(mean)
            u_hat = u_hat + port.code(u, mean, scale, part == index, self.bank)
        return u_hat

    def _fits_kernels(self, features: Tensor) -> bool:
        layers = (self.spatial_enter, *self.parameters_of_part)
        exact = all(layer.exact for layer in layers) and self.step.knots.shape[1] % N_PARTS == 0
        return exact and len(features) == 1 and kernels.usable(features)

    @cached_property
    def packed_parts(self) -> PackedParts:
        """The layers around the parts as kernels read them."""
        from nvc.kernels.latents import pack_parts

        enter, *parameters = (
            (layer.weight.numpy(), layer.affine.numpy())
            for layer in (self.spatial_enter, *self.parameters_of_part)
        )
        return pack_parts(parameters, enter, self.step.knots.shape[1])

    def _code_parts(
        self,
        u: Tensor | None,
        features: Tensor,
        first_scale: Tensor,
        port: CodingPort,
        bounds: Bounds | None,
    ) -> Tensor:
        """What `code_parts` does, each part on its own elements alone."""
        from nvc.kernels.latents import Parts

        parts = Parts(self.packed_parts, first_scale[0].numpy(), *features.shape[1:3])
        for index in range(N_PARTS):
            if index:
                features = self.spatial_prior(features)
            rows, means = map(torch.from_numpy, parts.parameters(index, features[0].numpy()))
            if bounds is not None:
                known = bounds.of_part(index, parts)
                rows, means = torch.minimum(rows, known.row.to(rows.dtype)), known.move(means)
            own = None if u is None else torch.from_numpy(parts.elements(index, u[0].numpy())).flatten()
            values = port.code_selected(own, means.flatten(), rows.flatten(), self.bank)
            values = values.reshape(means.shape)
            features = torch.from_numpy(parts.put(index, values.numpy(), features[0].numpy()))[None]
        return torch.from_numpy(parts.u_hat)[None]

    def analyse_hyper(self, u: Tensor) -> Tensor:
        """Latent in steps -> hyper-latent at half its resolution (encoder only)."""
        return self.hyper_analysis(
            self.hyper_analysis_down(downsample(self.hyper_analysis_enter(with_magnitude(u))))
        )


def with_magnitude(u: Tensor) -> Tensor:
    """Values beside their magnitudes; magnitudes tell the scale of the neighbours, signs do not."""
    return torch.cat([u * 0.25, u.abs().clamp(max=4.0)], dim=-1)


def parts_of(h: int, w: int, n: int, device: torch.device) -> Tensor:
    """Which of the N_PARTS parts each element belongs to; [1, h, w, n].

    Of every 2x2 positions, a channel's parts take the first, the diagonal opposite, then the other two; the
    next channel begins one part later.
    """
    order = torch.tensor([[0, 2], [3, 1]], device=device)
    row = torch.arange(h, device=device).view(1, h, 1, 1) % 2
    column = torch.arange(w, device=device).view(1, 1, w, 1) % 2
    return (order[row, column] + torch.arange(n, device=device)) % N_PARTS


def uniform_steps(finest: float, per_doubling: Tensor) -> Tensor:
    """Quantiser steps [N_KNOTS, n]: `finest` at qp 0, doubling every `per_doubling` [n] qp."""
    qp = torch.arange(N_KNOTS) * ((N_QP - 1) / (N_KNOTS - 1))
    return finest * torch.exp(qp[:, None] * (math.log(2) / per_doubling))
