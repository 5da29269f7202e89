"""Splitting blocks: where a picture changes within a block, coefficients of smaller blocks say it shorter.

A block of the lapped transform is split 0, 1 or 2 times: its luma has the coefficients of one 16x16 DCT, of
four 8x8 or of sixteen 4x4, each chroma plane those of one 8x8 or of four 4x4. The filter across boundaries
stays. So a split is an orthonormal exchange of a block's coefficients for as many others; those of the same
frequency in neighbouring smaller blocks stand together, where the block's own of that frequency stood.
(Transform size switching: Wien, "Variable block-size transforms for H.264/AVC", IEEE Trans. Circuits and
Systems for Video Technology 13(7), 2003.) Exact like the transform: integers over 2**14, results rounded
to 1/64.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from nvc import kernels
from nvc.models.transform import (
    CHROMA_BLOCK,
    LUMA_BLOCK,
    N_COEFFICIENTS,
    dct_matrix,
    frequency_order,
    in_matrix_units,
    in_sample_units,
)

N_SPLITS = 3
LEAST_TRANSFORM = 4
Ints = npt.NDArray[np.int64]
Doubles = npt.NDArray[np.float64]

PLANES = (LUMA_BLOCK, CHROMA_BLOCK, CHROMA_BLOCK)


def split_matrix(block: int, size: int) -> Tensor:
    """From the DCT of `block` samples to the DCTs of `size` samples each; float64 [block, block]."""
    n = block // size
    smaller = torch.block_diag(*[dct_matrix(size)] * n)
    by_frequency = [place * size + frequency for frequency in range(size) for place in range(n)]
    return smaller[by_frequency] @ dct_matrix(block).T


class BlockSplit(nn.Module):
    """Exchanges the coefficients [b, h/16, w/16, n_kept] of split blocks, and back."""

    def __init__(self, kept: Tensor) -> None:
        """kept: which of a block's 384 coefficients there are, see PictureTransform."""
        super().__init__()
        self.exact = False
        places, start = torch.empty(N_COEFFICIENTS, dtype=torch.int64), 0
        for block in PLANES:
            order = torch.tensor(frequency_order(block))
            places[start : start + block**2] = start + order
            start += block**2
        self.register_buffer("places", places[kept], persistent=False)
        self.places: Tensor
        for level in range(1, N_SPLITS):
            for block in (LUMA_BLOCK, CHROMA_BLOCK):
                matrix = split_matrix(block, max(block >> level, LEAST_TRANSFORM))
                self.register_buffer(f"matrix_{level}_{block}", in_matrix_units(matrix), persistent=False)

    def forward(self, coefficients: Tensor, split: Tensor, *, inverse: bool = False) -> Tensor:
        """Exchange the coefficients of blocks that are split; split: int64 [b, h/16, w/16], 0 to 2."""
        for level in range(1, N_SPLITS):
            chosen = split == level
            if bool(chosen.any()):
                exchanged = self.exchange(coefficients[chosen], level, inverse=inverse)
                coefficients = coefficients.masked_scatter(chosen[..., None], exchanged)
        return coefficients

    def inverse(self, coefficients: Tensor, split: Tensor) -> Tensor:
        """Undo `forward`."""
        return self(coefficients, split, inverse=True)

    def exchange(self, rows: Tensor, level: int, *, inverse: bool = False) -> Tensor:
        """Coefficients [n_blocks, n_kept] of blocks that are all split alike."""
        if self.exact and kernels.usable(rows):
            from nvc.kernels.split import exchange

            matrices = (self._matrix(level, block, inverse) for block in (LUMA_BLOCK, CHROMA_BLOCK))
            places = self.places.numpy()
            return torch.from_numpy(
                exchange(rows.contiguous().numpy(), places, *(m.numpy() for m in matrices))
            )
        everything = torch.zeros(
            len(rows), N_COEFFICIENTS, dtype=torch.float64 if self.exact else rows.dtype, device=rows.device
        )
        everything = everything.index_copy(1, self.places, self._round(rows.to(everything)))
        parts = []
        for part, block in zip(everything.split([n * n for n in PLANES], 1), PLANES, strict=True):
            matrix = self._matrix(level, block, inverse).to(everything)
            with torch.autocast(rows.device.type, enabled=False):
                lines = self._round(part.reshape(-1, block, block) @ matrix.T).transpose(1, 2)
                lines = self._round(lines @ matrix.T).transpose(1, 2)
            parts.append(lines.flatten(1))
        return torch.cat(parts, 1)[:, self.places].to(rows.dtype)

    @cached_property
    def arrays(self) -> tuple[tuple[Ints, Ints], Doubles, Doubles]:
        """Places, the same in transposed planes, and matrices of luma and of chroma for each split, as
        kernels read them."""
        levels = range(1, N_SPLITS)
        luma, chroma = (
            torch.stack([self._matrix(level, block, False) for level in levels]).numpy()
            for block in (LUMA_BLOCK, CHROMA_BLOCK)
        )
        planes = torch.arange(N_COEFFICIENTS).split([n * n for n in PLANES])
        transposed = torch.cat([p.view(n, n).T.flatten() for p, n in zip(planes, PLANES, strict=True)])
        return (self.places.numpy(), transposed[self.places].numpy()), luma, chroma

    def _matrix(self, level: int, block: int, inverse: bool) -> Tensor:
        matrix: Tensor = getattr(self, f"matrix_{level}_{block}")
        return matrix.T.contiguous() if inverse else matrix

    def _round(self, x: Tensor) -> Tensor:
        return in_sample_units(x) if self.exact else x
