"""The second reference: where a superblock is predicted better by the golden picture, the GOP's keyframe.

The frame before is nearest, but the keyframe is finer, and shows what has been covered since. A superblock of
32x32 luma samples takes the one, the other, or the mean of both. (VP9's golden frame and compound prediction:
Mukherjee et al., "The latest open-source video codec VP9", PCS 2013.) Where it lies in the golden picture
is expected from the vectors since, and sent as the difference from that, or not at all.
"""

from __future__ import annotations

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
SYMBOLS_PER_SUPERBLOCK = 3  # at most: its kind, and how its vector differs in x and y
# Table rows of kinds: where in the frame before this superblock and those around it took the last picture,
# where only this one did, and where it did not; and of differences of vectors.
KIND_ROWS = (6.0, 11.0, 18.0)
VECTOR_ROW = 36.0


class Kind(IntEnum):
    """Which pictures a superblock is predicted from."""

    LAST = 0
    COMPOUND = 1  # the mean of both
    GOLDEN = 2


@dataclass(frozen=True)
class Choice:
    """Of the superblocks of a frame: kinds, int64 [b, rows, columns], and vectors into the golden picture
    [b, rows, columns, 2] float32, in quarters of a luma pixel, also of those that do not use it."""

    kinds: Tensor
    vectors: Tensor

    @classmethod
    def of_last(cls, vectors: Tensor) -> Choice:
        """All superblocks, with these vectors, take the last picture alone."""
        return cls(torch.zeros(vectors.shape[:-1], dtype=torch.int64, device=vectors.device), vectors)

    def of_blocks(self, rows: int, columns: int) -> Choice:
        """The same for each of the blocks [b, rows, columns] of the superblocks."""
        return Choice(of_blocks(self.kinds, rows, columns), of_blocks(self.vectors, rows, columns))


@dataclass(frozen=True)
class Golden:
    """The golden picture, as the frame before left it.

    kinds: of that frame's superblocks. field: about where each of its blocks lies in the golden picture,
    vectors [b, h/8, w/8, 2].
    """

    picture: Planes
    kinds: Tensor
    field: Tensor

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

        A superblock's symbol is 0 for LAST, positive for COMPOUND, negative for GOLDEN, and of size 2 where
        its vector is the expected one.
        """
        rows, expected = self.rows()[..., None], middles(self.chained(vectors))
        everything = torch.ones((), dtype=torch.bool, device=rows.device)
        symbol = None
        if choice is not None:
            size = 1.0 + (choice.vectors == expected).all(-1, keepdim=True).float()
            kinds = choice.kinds[..., None]
            symbol = torch.where(kinds == Kind.LAST, 0.0, torch.where(kinds == Kind.COMPOUND, size, -size))
        symbol = port.code(symbol, torch.zeros_like(rows), rows, everything, Bank.HYPER)
        kinds = torch.where(symbol > 0, Kind.COMPOUND, torch.where(symbol < 0, Kind.GOLDEN, Kind.LAST))
        own, is_new = None if choice is None else choice.vectors, symbol.abs() == 1
        scale = torch.full_like(expected, VECTOR_ROW)
        found = port.code(own, expected, scale, is_new, Bank.VECTOR).clamp(-VECTOR_MAX, VECTOR_MAX)
        return Choice(kinds[..., 0], torch.where(is_new, found, expected))

    def after(self, choice: Choice, vectors: Tensor) -> Golden:
        """What the frame of this choice leaves for the next."""
        blocks = choice.of_blocks(*vectors.shape[1:3])
        field = torch.where(blocks.kinds[..., None] > 0, blocks.vectors, self.chained(vectors))
        return Golden(self.picture, choice.kinds, field)


class Choose(Protocol):
    """Makes an encoder's choice, when the vectors to the last frame are coded."""

    def __call__(self, golden: Golden, vectors: Tensor) -> Choice: ...


def choose_last(golden: Golden, vectors: Tensor) -> Choice:
    """The Choose of an encoder that looks for nothing: every superblock takes the last picture."""
    return Choice.of_last(middles(golden.chained(vectors)))


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
