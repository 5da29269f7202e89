"""What is decided for each block of a picture: its split, and how blurred its prediction is.

An encoder takes the cheapest of all pairs; both are sent as symbols whose likelihood a network knows, and
another tells the entropy model of the latent what to expect. Blurring a prediction drops its high
frequencies: where motion compensation has failed, they are noise. (Agustsson et al., "Scale-space flow for
end-to-end optimized video compression", CVPR 2020.)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nvc import kernels
from nvc.models.block_split import N_SPLITS, BlockSplit
from nvc.models.layers import Pointwise
from nvc.models.quantiser import BITS_PER_SQUARED_STEP, THRIFT, Bank, Port, latent_bank

BLUR_LIMITS = (math.inf, 9 / 16, 3 / 16)
"""The highest frequency that each blur leaves of a prediction, as coefficient_frequencies has them."""
N_BLURS = len(BLUR_LIMITS)

FIRST_ROW = 12.0  # of a network that has not learned how likely modes are

# How an encoder judges a mode: symbols by a dead zone, bits of a symbol, of each doubling of it, and of
# saying that a block is split or blurred.
DEAD_ZONE = 0.3
BITS_PER_SYMBOL, BITS_PER_DOUBLING, BITS_PER_MODE = 4.0, 2.0, 14.0
BLOCKS_AT_ONCE = 1024
LARGE_SYMBOL = 255  # larger ones count as this


@dataclass(frozen=True)
class Modes:
    """split, blur: int64 [b, h/16, w/16], 0 to 2 each; without a prediction no block is blurred."""

    split: Tensor
    blur: Tensor


class BlockModes(nn.Module):
    """Chooses, codes and applies the modes of blocks; one module for each PictureCoder."""

    def __init__(self, kept: Tensor, frequency: Tensor, width: int, *, predicts: bool) -> None:
        """kept: see BlockSplit. frequency: of each coefficient, as coefficient_frequencies has them."""
        super().__init__()
        self.predicts = predicts
        self.block_split = BlockSplit(kept)
        limits = torch.tensor(BLUR_LIMITS)[:, None]
        self.register_buffer("left", (frequency <= limits).float(), persistent=False)
        self.left: Tensor
        self.scale = Pointwise(width, 2 if predicts else 1, silent=True)
        self.features = Pointwise(N_SPLITS + N_BLURS if predicts else N_SPLITS, width, silent=True)

    def blurred(self, predicted: Tensor, modes: Modes) -> Tensor:
        """The coefficients of a prediction, without those that its blocks' blur drops."""
        return predicted * self.left[modes.blur]

    def code(self, modes: Modes | None, features: Tensor, port: Port) -> Modes:
        """Code modes, or decode them when they are None; features: those that the latent is coded with."""
        scale = (self.scale(features) + FIRST_ROW).clamp(min=1.0)
        symbols = None
        if modes is not None:
            both = (modes.split, modes.blur) if self.predicts else (modes.split,)
            symbols = torch.stack([mode_symbol(mode) for mode in both], dim=-1)
        decoded = mode_of_symbol(port.code(symbols, torch.zeros_like(scale), scale, None, Bank.HYPER))
        split = decoded[..., 0]
        return Modes(split, decoded[..., 1] if self.predicts else torch.zeros_like(split))

    def describe(self, modes: Modes) -> Tensor:
        """What the entropy model is told of modes, [b, h/16, w/16, width]."""
        kinds = [modes.split == split for split in range(N_SPLITS)]
        if self.predicts:
            kinds += [modes.blur == blur for blur in range(N_BLURS)]
        return self.features(torch.stack(kinds, dim=-1).float())

    @torch.no_grad()
    def choose(self, coefficients: Tensor, predicted: Tensor | None, step: Tensor) -> Modes:
        """The cheapest modes of each block in rate and distortion.

        coefficients: of the picture; predicted: of its whole prediction; step: the quantiser's. A block of
        which nothing would be sent has modes of 0.
        """
        u = (coefficients if predicted is None else coefficients - predicted) / step
        best = torch.zeros(u.shape[:-1], dtype=torch.int64, device=u.device)
        speaks = u.abs().amax(-1) >= 0.5 + DEAD_ZONE
        own = u[speaks]
        known = None if predicted is None else (predicted / step)[speaks]
        if kernels.usable(own):
            best[speaks] = self._chosen(own, known)
        else:
            parts = [part.split(BLOCKS_AT_ONCE) for part in (own, known) if part is not None]
            best[speaks] = torch.cat([self._cheapest(*part) for part in zip(*parts, strict=True)])
        return Modes(best % N_SPLITS, best // N_SPLITS)

    def _chosen(self, own: Tensor, known: Tensor | None) -> Tensor:
        """What `_cheapest` says, but for sums in another order, sooner."""
        from nvc.kernels.modes import Prices, choose

        thrift = THRIFT[latent_bank(predicts=self.predicts)]
        bits = thrift * _bits(torch.arange(float(LARGE_SYMBOL + 1)))
        prices = Prices(0.5 - DEAD_ZONE, BITS_PER_SQUARED_STEP, bits.numpy(), thrift * BITS_PER_MODE)
        places, luma, chroma = self.block_split.arrays
        predictions = None if known is None else known.numpy()
        return torch.from_numpy(
            choose(own.numpy(), predictions, self.left.numpy(), places, luma, chroma, prices)
        )

    def _cheapest(self, own: Tensor, known: Tensor | None = None) -> Tensor:
        """The cheapest modes, as split + N_SPLITS * blur, of blocks of residuals [n, n_kept] and of
        predictions, both in quantiser steps."""
        rest = own
        thrift = THRIFT[latent_bank(predicts=self.predicts)]
        costs = []
        for blur in range(1 if known is None else N_BLURS):
            if known is not None and blur:
                rest = own + known * (1 - self.left[blur])
            # Squared errors are counted less the squares of u, which splitting keeps but blurring does not.
            more = BITS_PER_SQUARED_STEP * (rest.square() - own.square()).sum(-1)
            for split in range(N_SPLITS):
                exchanged = self.block_split.exchange(rest, split) if split else rest
                mode_bits = BITS_PER_MODE * ((blur > 0) + (split > 0))
                costs.append(_cost(exchanged, thrift) + more + thrift * mode_bits)
        return torch.stack(costs, -1).argmin(-1)


def _cost(u: Tensor, thrift: float) -> Tensor:
    """What rows of u cost in bits and in squared errors, less the squares of u."""
    size = u.abs()
    symbols = (size + (0.5 - DEAD_ZONE)).floor()
    error = symbols * (symbols - 2 * size)
    return (BITS_PER_SQUARED_STEP * error + thrift * _bits(symbols)).sum(-1)


def _bits(symbols: Tensor) -> Tensor:
    return (symbols > 0) * BITS_PER_SYMBOL + BITS_PER_DOUBLING * torch.log2(1 + symbols)


def mode_symbol(mode: Tensor) -> Tensor:
    """Modes 0, 1, 2 as the symbols that are sent: 0, 1, -1; the likeliest is 0."""
    return torch.where(mode == 2, -torch.ones_like(mode), mode).float()


def mode_of_symbol(symbol: Tensor) -> Tensor:
    """Undo `mode_symbol`; any other symbol counts as the nearest."""
    sign = symbol.clamp(-1, 1)
    return torch.where(sign < 0, -2 * sign, sign).long()
