"""What superblocks the encoder predicts from golden pictures, and with which vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nvc.frames import edged
from nvc.kernels.team import side_by_side
from nvc.models.golden import SUPERBLOCK, VECTOR_ROW, Choice, Golden, Kind, middles, of_blocks

Plane = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int32]


# A bit of the residual beside a bit that says kind and vector: of a better prediction the networks make more,
# and the frames behind it have it, too.
RESIDUAL_WEIGHT = 1.2
_PLANS = ((SUPERBLOCK,),)


@dataclass(frozen=True)
class Proposals:
    """A golden picture's shifted planes, and vectors into it [n, h/8, w/8, 2]: what superblocks expect as the
    second, what is best for them alone as the last."""

    planes: Plane
    candidates: Ints


@dataclass(frozen=True)
class Weighed:
    """A choice of one golden picture. bits: what saying it takes, cost: that and about what the residual will
    take, [rows, columns] of superblocks; prediction: luma with it, float32 [h, w]."""

    choice: Choice
    bits: Doubles
    cost: Doubles
    prediction: Floats


@dataclass(frozen=True)
class GoldenSearch:
    """A Choose: looks for vectors of superblocks into golden pictures, and takes of each what is cheapest.

    last: shifted planes, current: the padded picture, see nvc.kernels.search. goldens: luma. proposed:
    quarters of a pixel into each golden picture for blocks [h/8, w/8, 2], where there are any. prices: of
    components that differ from a neighbour, see `search_blocks`. bits_per_square, knee_bits: see
    nvc.kernels.decision. bits: of symbols by table row and size.
    """

    last: Plane
    goldens: tuple[Plane, ...]
    current: Plane
    proposed: tuple[Ints | None, ...]
    prices: Floats
    bits_per_square: float
    knee_bits: float
    bits: Floats

    def __call__(self, goldens: Sequence[Golden], vectors: Tensor) -> tuple[Choice, ...]:
        from nvc.kernels.golden import take_blocks

        if not goldens:
            return ()
        own = vectors[0].int().numpy()
        plain = take_blocks(self.last, own)

        def of_one(index: int) -> tuple[Proposals, Weighed]:
            proposals = self._look(index, goldens[index].chained(vectors), own)
            return proposals, self._weigh(proposals, goldens[index], plain)

        each = side_by_side(*(partial(of_one, index) for index in range(len(goldens))))
        _, first = each[0]
        if len(each) == 1:
            return (first.choice,)
        proposals, instead = each[1]
        beside = self._weigh(proposals, goldens[1], first.prediction)
        silent = self._kind_bits(goldens[0])[..., 0]
        is_alone = torch.from_numpy(instead.cost + silent < beside.cost + first.bits)[None]
        return (
            replace(first.choice, kinds=first.choice.kinds.masked_fill(is_alone, Kind.NONE)),
            Choice(
                torch.where(is_alone, instead.choice.kinds, beside.choice.kinds),
                torch.where(is_alone[..., None], instead.choice.vectors, beside.choice.vectors),
            ),
        )

    def _kind_bits(self, golden: Golden) -> Floats:
        """Of symbols of size 0 to 2, [rows, columns, 3]."""
        return self.bits[golden.rows()[0].int().numpy()][..., :3]

    def _look(self, index: int, chained: Tensor, own: Ints) -> Proposals:
        from nvc.kernels.search import search_blocks, shifted_planes

        expected = of_blocks(middles(chained), *own.shape[:2])[0].int().numpy()
        proposed = self.proposed[index]
        proposed = expected if proposed is None else proposed
        median = np.rint(np.median(proposed.reshape(-1, 2), axis=0)).astype(np.int32)
        median = np.broadcast_to(median, own.shape)
        candidates = np.stack([proposed, expected, np.zeros_like(own), median, own])
        planes = shifted_planes(self.goldens[index])
        candidates[-1] = search_blocks(planes, self.current, candidates, self.prices, _PLANS)
        return Proposals(planes, candidates)

    def _weigh(self, proposals: Proposals, golden: Golden, so_far: Floats) -> Weighed:
        """What is best taken of a golden picture; so_far: luma predicted without it."""
        from nvc.kernels.golden import choose
        from nvc.kernels.search import REACH, search_blocks

        source = self.current[REACH:-REACH, REACH:-REACH]
        missing = np.rint(np.float32(2) * source - so_far).clip(0, 255).astype(np.uint8)
        target = edged(missing, REACH)
        beside = search_blocks(proposals.planes, target, proposals.candidates, self.prices * 4, _PLANS)
        options = np.stack([*proposals.candidates[[1, -1]], beside])[:, ::SUPERBLOCK, ::SUPERBLOCK]
        kinds, chosen, bits, cost, prediction = choose(
            (proposals.planes, self.current, so_far),
            np.ascontiguousarray(options),
            (self._kind_bits(golden), self.bits[int(VECTOR_ROW)]),
            (self.bits_per_square, self.knee_bits, RESIDUAL_WEIGHT),
        )
        choice = Choice(torch.from_numpy(kinds)[None], torch.from_numpy(chosen).float()[None])
        return Weighed(choice, bits, cost, prediction)
