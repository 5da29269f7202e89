"""Older references: where a superblock is predicted better by a golden picture than by the frame before.

The frame before is nearest, but a golden picture is finer, and shows what has been covered since. There are
up to two: the GOP's keyframe, and the last P frame that the encoder wanted kept. Of each in turn a superblock
of 32x32 luma samples takes nothing, its samples instead of what it has, or the mean of both. (VP9's golden
frame and compound prediction: Mukherjee et al., "The latest open-source video codec VP9", PCS 2013.) Where it
lies in a golden picture is expected from the vectors since, and sent as the difference from that, or not at
all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from nvc.models.motion_coder import VECTOR_MAX
from nvc.models.quantiser import Bank, Port
from nvc.models.warp import GRID, VECTOR_UNIT, Planes

SUPERBLOCK = 4  # blocks with a vector a side
N_GOLDEN = 2  # at most
SYMBOLS_PER_SUPERBLOCK = N_GOLDEN * 3  # at most: its kind, and how its vector differs in x and y
# Table rows of kinds: where in the frame before this superblock and those around it took the last picture,
# where only this one did, and where it did not; of differences of vectors; and of whether a frame is kept.
KIND_ROWS = (6.0, 11.0, 18.0)
VECTOR_ROW = 36.0
KEPT_ROW = 12.0


class Kind(IntEnum):
    """What a superblock takes of a golden picture."""

    NONE = 0
    COMPOUND = 1  # the mean of this and of what it has
    GOLDEN = 2  # this instead of what it has


@dataclass(frozen=True)
class Choice:
    """Of the superblocks of a frame: kinds, int64 [b, rows, columns], and vectors into a golden picture
    [b, rows, columns, 2] float32, in quarters of a luma pixel, also of those that do not use it."""

    kinds: Tensor
    vectors: Tensor

    @classmethod
    def of_none(cls, vectors: Tensor) -> Choice:
        """All superblocks, with these vectors, take nothing."""
        return cls(torch.zeros(vectors.shape[:-1], dtype=torch.int64, device=vectors.device), vectors)

    @classmethod
    def of_batch(cls, choices: Sequence[Choice], device: torch.device) -> Choice:
        """Those of several pictures as one."""
        kinds, vectors = [c.kinds for c in choices], [c.vectors for c in choices]
        return cls(torch.cat(kinds).to(device), torch.cat(vectors).to(device))

    def of_blocks(self, rows: int, columns: int) -> Choice:
        """The same for each of the blocks [b, rows, columns] of the superblocks."""
        return Choice(of_blocks(self.kinds, rows, columns), of_blocks(self.vectors, rows, columns))


@dataclass(frozen=True)
class Golden:
    """A golden picture, as the frame before left it.

    kinds: of that frame's superblocks. field: about where each of its blocks lies in the golden picture,
    vectors [b, h/8, w/8, 2].
    """

    picture: Planes
    kinds: Tensor
    field: Tensor

    def of_picture(self, index: int) -> Golden:
        """That of one picture of a batch; kinds and field on the CPU, where encoders choose."""
        here = slice(index, index + 1)
        y, u, v = (plane[here] for plane in self.picture)
        return Golden((y, u, v), self.kinds[here].cpu(), self.field[here].cpu())

    def chained(self, vectors: Tensor) -> Tensor:
        """The field of a frame with these vectors to the last one: on from where they lead to."""
        b, rows, columns, _ = vectors.shape
        step = (vectors * (1 / (GRID * VECTOR_UNIT))).round().long()
        x = (torch.arange(columns, device=vectors.device) + step[..., 0]).clamp(0, columns - 1)
        y = (torch.arange(rows, device=vectors.device)[:, None] + step[..., 1]).clamp(0, rows - 1)
        there = (y * columns + x).flatten(1)[..., None].expand(-1, -1, 2)
        onward = self.field.flatten(1, 2).gather(1, there).view(b, rows, columns, 2)
        return (vectors + onward).clamp(-VECTOR_MAX, VECTOR_MAX)

    def rows(self) -> Tensor:
        """The table row of each superblock's symbol, float32 [b, rows, columns]."""
        used = (self.kinds > 0).float()
        around = F.max_pool2d(used[:, None], 3, 1, 1)[:, 0]
        return torch.tensor(KIND_ROWS, device=used.device)[(used + around).long()]

    def code(self, choice: Choice | None, vectors: Tensor, port: Port) -> Choice:
        """Code a frame's choice, or decode it when None; vectors: those to the last frame.

        A superblock's symbol is 0 for NONE, positive for COMPOUND, negative for GOLDEN, and of size 2 where
        its vector is the expected one.
        """
        rows, expected = self.rows()[..., None], middles(self.chained(vectors))
        symbol = None
        if choice is not None:
            size = 1.0 + (choice.vectors == expected).all(-1, keepdim=True).float()
            kinds = choice.kinds[..., None]
            symbol = torch.where(kinds == Kind.NONE, 0.0, torch.where(kinds == Kind.COMPOUND, size, -size))
        symbol = port.code(symbol, torch.zeros_like(rows), rows, None, Bank.HYPER)
        kinds = torch.where(symbol > 0, Kind.COMPOUND, torch.where(symbol < 0, Kind.GOLDEN, Kind.NONE))
        own, is_new = None if choice is None else choice.vectors, symbol.abs() == 1
        scale = torch.full_like(expected, VECTOR_ROW)
        found = port.code(own, expected, scale, is_new, Bank.VECTOR).clamp(-VECTOR_MAX, VECTOR_MAX)
        return Choice(kinds[..., 0], torch.where(is_new, found, expected))

    def after(self, choice: Choice, vectors: Tensor) -> Golden:
        """What the frame of this choice leaves for the next."""
        blocks = choice.of_blocks(*vectors.shape[1:3])
        field = torch.where(blocks.kinds[..., None] > 0, blocks.vectors, self.chained(vectors))
        return Golden(self.picture, choice.kinds, field)


@dataclass(frozen=True)
class GoldenUse:
    """What a P frame says of golden pictures: what it takes of each, and whether it is to become one."""

    choices: tuple[Choice, ...]
    keep: bool


class Choose(Protocol):
    """Makes an encoder's choice of each golden picture, when the vectors to the last frame are coded."""

    def __call__(self, goldens: Sequence[Golden], vectors: Tensor) -> tuple[Choice, ...]: ...


def choose_none(goldens: Sequence[Golden], vectors: Tensor) -> tuple[Choice, ...]:
    """The Choose of an encoder that looks for nothing."""
    return tuple(Choice.of_none(middles(golden.chained(vectors))) for golden in goldens)


def code_use(use: GoldenUse | None, goldens: Sequence[Golden], vectors: Tensor, port: Port) -> GoldenUse:
    """Code what a P frame says of golden pictures, or decode it when None; vectors: to the last frame."""
    row = torch.full((1, 1, 1, 1), KEPT_ROW, device=vectors.device)
    own = None if use is None else torch.full_like(row, float(use.keep))
    keep = bool(port.code(own, torch.zeros_like(row), row, None, Bank.HYPER) != 0)
    choices = [None] * len(goldens) if use is None else use.choices
    coded = [golden.code(choice, vectors, port) for golden, choice in zip(goldens, choices, strict=True)]
    return GoldenUse(tuple(coded), keep)


def goldens_after(
    goldens: Sequence[Golden], choices: Sequence[Choice], vectors: Tensor, kept: Planes | None
) -> tuple[Golden, ...]:
    """What golden pictures are to the frame after the one of these choices and vectors.

    kept: the picture that it was predicted from, where that becomes a golden one: the keyframe for the whole
    GOP, any other in the place of the one kept before it.
    """
    after = [golden.after(choice, vectors) for golden, choice in zip(goldens, choices, strict=True)]
    if kept is not None:
        kinds = after[-1].kinds if after else Choice.of_none(middles(vectors)).kinds
        after = [*after[: N_GOLDEN - 1], Golden(kept, kinds, vectors)]
    return tuple(after)


def middles(vectors: Tensor) -> Tensor:
    """The vectors [b, h/8, w/8, 2] in the middles of superblocks."""
    rows, columns = (
        (torch.arange(0, n, SUPERBLOCK, device=vectors.device) + SUPERBLOCK // 2).clamp(max=n - 1)
        for n in vectors.shape[1:3]
    )
    return vectors[:, rows][:, :, columns]


def of_blocks(superblocks: Tensor, rows: int, columns: int) -> Tensor:
    """What superblocks [b, r, c, ..] have, for each of their blocks [b, rows, columns, ..]."""
    wide = superblocks.repeat_interleave(SUPERBLOCK, 1).repeat_interleave(SUPERBLOCK, 2)
    return wide[:, :rows, :columns]
