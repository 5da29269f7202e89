"""Where numbers become symbols: the one step in which training, encoding and decoding differ.

A latent coder walks the same road in all three and calls `code` for each group of elements; what `code`
does is the port's business. `TrainingPort` rounds with a gradient and adds up estimated bits, `EncoderPort`
rounds and collects symbols, `DecoderPort` takes symbols from the payload.
"""

from __future__ import annotations

import math
from enum import IntEnum
from functools import lru_cache
from typing import Protocol

import torch
from torch import Tensor

from nvc import kernels

N_SCALES = 64
SCALE_MIN = 0.11
SCALE_MAX = 128.0
LOG_SCALE_STEP = math.log(SCALE_MAX / SCALE_MIN) / (N_SCALES - 1)
SYMBOL_MAX = (1 << 15) - 1


def scale_table() -> list[float]:
    """Standard deviations of the 64 Laplace distributions, log-spaced, in quantiser steps."""
    return [SCALE_MIN * math.exp(LOG_SCALE_STEP * i) for i in range(N_SCALES)]


class Bank(IntEnum):
    """Symbols of a kind have tables of their own, N_SCALES rows each, one bank after the other."""

    HYPER = 0  # and modes, quality maps
    INTRA = 1
    INTER = 2
    VECTOR = 3
    CHOICE = 4  # of vectors that are known


N_TABLES = len(Bank) * N_SCALES


def latent_bank(*, predicts: bool) -> Bank:
    """That of the latents of pictures with a prediction or without one."""
    return Bank.INTER if predicts else Bank.INTRA


# How thriftily an encoder rounds unless told otherwise, see `thrifty_round`; training with as much starves
# P frames.
THRIFT = {Bank.HYPER: 0.0, Bank.INTRA: 0.7, Bank.INTER: 0.8, Bank.VECTOR: 0.0, Bank.CHOICE: 0.0}


class Port(Protocol):
    """Turns elements in quantiser steps into their decoded values."""

    def code(self, u: Tensor | None, mean: Tensor, scale: Tensor, mask: Tensor | None, bank: Bank) -> Tensor:
        """Code the elements of `u` that `mask` selects and return their decoded values, 0 elsewhere.

        u: [b, h, w, c] in quantiser steps; None in a decoder. mean: the same shape and unit. scale: the
        position in the scale table, rounded to select a row; row 0 means that the symbol is 0 and is not
        sent. mask: bool, broadcastable to mean; None selects all. bank: of the tables they are coded with.
        """
        ...


class CodingPort:
    """What encoder and decoder share: they code the selected elements alone, one after the other."""

    def code(self, u: Tensor | None, mean: Tensor, scale: Tensor, mask: Tensor | None, bank: Bank) -> Tensor:
        if mask is None:
            rows = table_rows(scale).to(torch.int32).flatten()
            own = None if u is None else u.flatten()
            return self.code_selected(own, mean.flatten(), rows, bank).view(mean.shape)
        mask = mask.expand_as(mean)
        rows = table_rows(scale.expand_as(mean)[mask]).to(torch.int32)
        values = self.code_selected(None if u is None else u[mask], mean[mask], rows, bank)
        return torch.zeros_like(mean).masked_scatter_(mask, values)

    def code_selected(self, u: Tensor | None, mean: Tensor, rows: Tensor, bank: Bank) -> Tensor:
        """Code elements in the order given; all [n]. rows: int32 table rows. Returns the decoded values."""
        raise NotImplementedError


class EncoderPort(CodingPort):
    """Rounds as rate and distortion together have it; keeps symbols and table rows for the rANS coder."""

    def __init__(self, inter_thrift: float = THRIFT[Bank.INTER]) -> None:
        """inter_thrift: of the latents of P frames, see `thrifty_round`."""
        self.groups: list[tuple[Tensor, Tensor]] = []
        self._thrift = THRIFT | {Bank.INTER: inter_thrift}

    def code_selected(self, u: Tensor | None, mean: Tensor, rows: Tensor, bank: Bank) -> Tensor:
        assert u is not None, "an encoder needs elements to code"
        if kernels.usable(u, mean):
            return self._code_by_kernel(u, mean, rows, bank)
        coded = rows > 0
        rounded = thrifty_round(u - mean, rows, self._thrift[bank])
        symbols = torch.where(coded, rounded, torch.zeros_like(mean))
        symbols = symbols.clamp_(-SYMBOL_MAX, SYMBOL_MAX)
        self.groups.append((symbols[coded].to(torch.int32), rows[coded] + N_SCALES * bank))
        return symbols + mean

    def _code_by_kernel(self, u: Tensor, mean: Tensor, rows: Tensor, bank: Bank) -> Tensor:
        from nvc.kernels.symbols import to_symbols

        thrift = self._thrift[bank]
        first, further = ((share * thrift).numpy() for share in _thresholds(u.device))
        values, symbols, tables = to_symbols(
            u.numpy(),
            mean.numpy(),
            rows.numpy(),
            (first, further) if thrift else None,
            N_SCALES * bank,
            SYMBOL_MAX,
        )
        self.groups.append((torch.from_numpy(symbols), torch.from_numpy(tables)))
        return torch.from_numpy(values)


class SymbolSource(Protocol):
    """Gives the next symbols of a payload, one for each table row asked for."""

    def pop_coded(self, rows: Tensor, first_table: int) -> Tensor:
        """The symbols of rows of tables that begin with `first_table`, int32 [n] to int32 [n]; row 0 is the
        symbol 0 and takes nothing from the payload."""
        ...

    def fits(self, checksum: int) -> bool:
        """Whether the payload, all of whose symbols were taken, was encoded with this checksum."""
        ...


class DecoderPort(CodingPort):
    """Takes from a payload what the encoder's port put there."""

    def __init__(self, source: SymbolSource) -> None:
        self.source = source

    def code_selected(self, u: Tensor | None, mean: Tensor, rows: Tensor, bank: Bank) -> Tensor:
        symbols = self.source.pop_coded(rows, N_SCALES * bank).to(mean)
        return symbols.clamp_(-SYMBOL_MAX, SYMBOL_MAX) + mean


class TrainingPort:
    """Rounds with a straight-through gradient and adds up the Laplace bits of what it rounds.

    quantiser: 'hard' takes the bits of the rounded symbols. 'mixed' counts the same bits, but the latent
    learns from their slope at additive noise: rounded zeros have no slope, and a latent that sees none grows
    without bound. 'noise' uses noise for rate and distortion. 'soft' rounds by a soft assignment that
    `temperature` hardens (Mentzer et al., "Conditional probability models for deep image compression").
    thrift: of latents, see `thrifty_round`.
    """

    def __init__(self, quantiser: str = "mixed", thrift: float = 0.0, temperature: float = 4.0) -> None:
        if quantiser not in ("hard", "mixed", "noise", "soft"):
            raise ValueError(f"unknown quantiser {quantiser!r}")
        self.quantiser = quantiser
        self.thrift = thrift
        self.temperature = temperature
        self.bits: dict[Bank, Tensor] = {}  # [b] each

    def code(self, u: Tensor | None, mean: Tensor, scale: Tensor, mask: Tensor | None, bank: Bank) -> Tensor:
        assert u is not None
        chosen = torch.ones_like(mean, dtype=torch.bool) if mask is None else mask.expand_as(mean)
        residual = (u.float() - mean.float()).masked_select(chosen)
        scale = scale.float().masked_select(chosen)
        thrift = self.thrift if THRIFT[bank] else 0.0
        rounded = thrifty_round(residual.detach(), table_rows(scale.detach()), thrift)
        symbols = residual + (rounded - residual.detach())
        noisy = residual + torch.rand_like(residual) - 0.5
        if self.quantiser == "noise":
            symbols = noisy
        elif self.quantiser == "soft":
            soft = _soft_round(residual, self.temperature)
            symbols = soft + (rounded - soft).detach()
        bits = laplace_bits(symbols, scale)
        if self.quantiser == "mixed":
            smooth = laplace_bits(noisy, scale.detach())
            bits = laplace_bits(rounded, scale) + smooth - smooth.detach()
        placed = torch.zeros_like(mean, dtype=torch.float32).masked_scatter(chosen, bits)
        self.bits[bank] = self.bits.get(bank, 0) + placed.flatten(1).sum(1)
        decoded = torch.zeros_like(mean, dtype=torch.float32).masked_scatter(chosen, symbols)
        return torch.where(chosen, decoded + mean.float(), torch.zeros_like(decoded))


def table_rows(scale: Tensor) -> Tensor:
    return scale.round().clamp(0, N_SCALES - 1)


# What a squared error of one quantiser step costs, in bits, under the exchange rate of training: 6/8 over
# 0.134 (training/objective.py), of luma and chroma alike.
BITS_PER_SQUARED_STEP = 5.6


@lru_cache(maxsize=8)
def _thresholds(device: torch.device) -> tuple[Tensor, Tensor]:
    """For each table row, how far beyond 1/2 a symbol must lie to become 1 and more, at a thrift of 1."""
    rows = torch.arange(N_SCALES, dtype=torch.float32, device=device)
    bits = [laplace_bits(torch.full_like(rows, float(s)), rows) for s in range(3)]
    share = 1 / (2 * BITS_PER_SQUARED_STEP)
    return (bits[1] - bits[0]) * share, (bits[2] - bits[1]) * share


def thrifty_round(x: Tensor, rows: Tensor, thrift: float) -> Tensor:
    """Round towards fewer bits: the next symbol is taken only if the error it saves is worth its bits.

    x: in quantiser steps; rows: the table rows it will be coded with. thrift 0 rounds to the nearest, 1
    follows the exchange rate of training. (Rate-distortion optimised quantisation, element by element.)
    """
    size = x.abs()
    if not thrift:
        return x.sign() * (size + 0.5).floor()
    first, further = (t[rows.long()] * thrift for t in _thresholds(x.device))
    symbols = (size + 0.5 - further).floor().clamp(min=1)
    return torch.where(size > 0.5 + first, x.sign() * symbols, torch.zeros_like(x))


def _soft_round(x: Tensor, temperature: float) -> Tensor:
    floor = x.detach().floor()
    centred = x - floor - 0.5
    return floor + 0.5 + torch.tanh(temperature * centred) / (2 * math.tanh(temperature / 2))


def laplace_bits(symbols: Tensor, scale: Tensor) -> Tensor:
    """Bits of symbols under a discretised zero-mean Laplace distribution; differentiable in both."""
    inverse = torch.exp(-LOG_SCALE_STEP * scale.clamp(0, N_SCALES - 1)) * (math.sqrt(2) / SCALE_MIN)
    size = symbols.abs()
    outer = (size - 0.5).clamp(min=0) * inverse + math.log(2) - torch.log(-torch.expm1(-inverse))
    inside = (0.5 - size).clamp(min=0)
    inner = -torch.log1p(
        -0.5 * (torch.exp(-inside * inverse) + torch.exp(-(size + 0.5) * inverse)).clamp(max=1.999)
    )
    return torch.where(size > 0.5, outer, inner) * (1 / math.log(2))
