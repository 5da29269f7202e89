"""Which superblocks the encoder predicts from the golden picture, and with which vectors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nvc.models.golden import SUPERBLOCK, VECTOR_ROW, Choice, Golden, middles, of_blocks
from nvc.models.warp import FILTER_TABLE, GRID, VECTOR_UNIT

Plane = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]

# A bit of the residual beside a bit that says kind and vector: of a better prediction the networks make more,
# and the frames behind it have it, too.
RESIDUAL_WEIGHT = 1.4


@dataclass(frozen=True)
class GoldenSearch:
    """A Choose: looks for vectors of superblocks, and takes the cheapest kind of each.

    last, golden: what the pictures are searched in, current: the padded picture, see nvc.kernels.search.
    last_luma: as it was decoded; current_luma: unpadded. proposed: quarters of a pixel into the golden
    picture for blocks [h/8, w/8, 2]. prices: of components that differ from a neighbour, see `search_blocks`.
    bits_per_square, knee_bits: see nvc.kernels.decision. bits: of symbols by table row and size.
    """

    last: Plane
    golden: Plane
    current: Plane
    last_luma: Plane
    current_luma: Plane
    proposed: Ints
    prices: Floats
    bits_per_square: float
    knee_bits: float
    bits: Floats

    def __call__(self, golden: Golden, vectors: Tensor) -> Choice:
        from nvc.kernels.golden import choose

        own = vectors[0].int().numpy()
        expected = middles(golden.chained(vectors))
        options = np.stack([expected[0].int().numpy(), *self._found(own, expected)])
        kinds, chosen = choose(
            (self.last, self.golden, self.current),
            own,
            options,
            (self.bits[golden.rows()[0].int().numpy()][..., :3], self.bits[int(VECTOR_ROW)]),
            (self.bits_per_square, self.knee_bits, RESIDUAL_WEIGHT),
        )
        return Choice(torch.from_numpy(kinds)[None], torch.from_numpy(chosen).float()[None])

    def _found(self, own: Ints, expected: Tensor) -> list[Ints]:
        """The best vectors of superblocks alone, and in the mean with the last picture moved by `own`."""
        from nvc.kernels.search import REACH, search_blocks
        from nvc.kernels.warp import warp_plane

        sizes = np.array([SUPERBLOCK])
        median = np.rint(np.median(self.proposed.reshape(-1, 2), axis=0)).astype(np.int32)
        wide = of_blocks(expected, *own.shape[:2])[0].int().numpy()
        candidates = np.stack(
            [self.proposed, wide, np.zeros_like(own), np.broadcast_to(median, own.shape), own]
        )
        alone = search_blocks(self.golden, self.current, candidates, self.prices, sizes)
        filters = FILTER_TABLE.numpy()
        moved = warp_plane(
            self.last_luma.astype(np.float32),
            own.astype(np.float32),
            block=GRID,
            unit=VECTOR_UNIT,
            filters=filters,
        )
        missing = np.clip(np.rint(2.0 * self.current_luma - moved), 0, 255).astype(np.uint8)
        candidates[-1] = alone
        target = np.pad(missing, REACH, mode="edge")
        beside = search_blocks(self.golden, target, candidates, self.prices * 4, sizes)
        return [field[::SUPERBLOCK, ::SUPERBLOCK] for field in (alone, beside)]
