"""What is sent of a keyframe: its latent moved, step by step, to where the decoder makes most of it.

The analysis network does not know how a latent will be rounded, and rounding, element by element, does not
know what the decoder's networks make of what it leaves. Slopes through these networks, in their float form,
do. (Campos et al., "Content adaptive optimization for neural image compression", CVPR workshops 2019.) Of P
frames little is sent, and they gain next to nothing by the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import pairwise

import torch
from torch import Tensor

from nvc.kernels.team import side_by_side
from nvc.models.adaptive_filter import AdaptiveFilter
from nvc.models.block_modes import Modes
from nvc.models.block_split import PLANES
from nvc.models.codec import Codec
from nvc.models.exact import float_parameters
from nvc.models.latent_coder import parts_of
from nvc.models.picture_coder import (
    QP_PER_CHROMA_DOUBLING,
    QP_PER_DOUBLING,
    Picture,
    PictureCoder,
    bits_per_squared_error,
    finished,
    scale_down,
)
from nvc.models.quantiser import BITS_PER_SQUARED_STEP, THRIFT, Bank, EncoderPort, thrifty_round

STEPS = {"fast": 0, "medium": 4, "slow": 8}
FIRST_STEP = 0.4  # of the way to where a slope would end; the n-th step goes an n-th of that
# Blocks a side: of the tiles that are moved one by one, at most, and of what they see around them.
TILE, MARGIN = 20, 2
PLANE_DOUBLINGS = QP_PER_DOUBLING, QP_PER_CHROMA_DOUBLING, QP_PER_CHROMA_DOUBLING


class LatentSearch:
    """A Move for keyframes: takes some steps, tile by tile."""

    def __init__(self, codec: Codec, n_steps: int) -> None:
        """codec: exact."""
        self._codec = codec
        self._n_steps = n_steps

    def __call__(self, x: Picture, modes: Modes, u: Tensor, qp: Tensor) -> Tensor:
        if not self._n_steps:
            return u
        picture = coded_once(self._codec.intra, x, modes, u, qp)
        with torch.inference_mode(False), _unsplit_products():
            moved = u.clone()
            tiles = [(rows, columns) for rows in spans(u.shape[1]) for columns in spans(u.shape[2])]
            found = side_by_side(*(partial(self._moved_tile, picture, *tile) for tile in tiles))
            for (rows, columns), latent in zip(tiles, found, strict=True):
                moved[:, rows.own, columns.own] = latent[:, rows.within, columns.within]
        return moved

    def _moved_tile(self, picture: CodedOnce, rows: Span, columns: Span) -> Tensor:
        return self._mover.moved(picture.cut(rows, columns))

    @cached_property
    def _mover(self) -> LatentMover:
        """Of the intra coder's float form."""
        adaptive_filter = self._codec.adaptive_filter
        coder = PictureCoder(self._codec.config, predicts=False)
        coder.load_state_dict(float_parameters(self._codec.intra))
        coder.requires_grad_(False).to(adaptive_filter.taps.device)
        return LatentMover(coder, adaptive_filter, self._n_steps)


@dataclass(frozen=True)
class LatentMover:
    """A Move along slopes through an intra coder, not exact, and the filter behind it.

    In training the analysis networks learn nothing from what is moved: taught as if nothing moved what they
    make, they drift to where only moving brings it back.
    """

    coder: PictureCoder
    adaptive_filter: AdaptiveFilter
    n_steps: int

    @torch.no_grad()
    def __call__(self, x: Picture, modes: Modes, u: Tensor, qp: Tensor) -> Tensor:
        return self.moved(coded_once(self.coder, x, modes, u.detach(), qp))

    def moved(self, picture: CodedOnce) -> Tensor:
        """The latent after all steps."""
        u = picture.u
        for step in range(1, self.n_steps + 1):
            u_hat = picture.rounding.rounded(u).requires_grad_()
            with torch.enable_grad():
                (slope,) = torch.autograd.grad(self._distortion_bits(picture, u_hat), u_hat)
            # Were errors of the latent all that counts, the slope would lead back to where it was.
            target = u_hat.detach() - slope / (2 * BITS_PER_SQUARED_STEP)
            u = torch.lerp(u, target, FIRST_STEP / step)
        return u

    def _distortion_bits(self, picture: CodedOnce, u_hat: Tensor) -> Tensor:
        """What the squared errors of a decoded picture are worth."""
        coder, qp = self.coder, picture.qp
        y_hat = coder.modes.block_split.inverse(u_hat * coder.latent_coder.step(qp), picture.modes.split)
        plain, _, _ = coder.synthesise(y_hat, y_hat / coder.latent_coder.step(qp), None, qp)
        decoded = self.adaptive_filter(finished(plain), qp, predicts=False)
        total = torch.zeros((), device=u_hat.device)
        for plane, other, doubling, block in zip(picture.x, decoded, PLANE_DOUBLINGS, PLANES, strict=True):
            prices = scale_down(bits_per_squared_error(qp, doubling), block)
            total = total + (prices * (plane - other).square()).sum()
        return total


@contextmanager
def _unsplit_products() -> Iterator[None]:
    """One thread for each product, whose rounding is then the same however many tiles are moved at a time."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)


@dataclass(frozen=True)
class Rounding:
    """How each element of a latent is rounded: mean, float32, and table row, int32, [b, h/16, w/16, n]."""

    mean: Tensor
    row: Tensor

    def rounded(self, u: Tensor) -> Tensor:
        """What is decoded of u."""
        symbols = thrifty_round(u - self.mean, self.row, THRIFT[Bank.INTRA])
        return torch.where(self.row > 0, symbols, torch.zeros_like(symbols)) + self.mean


class Recorder(EncoderPort):
    """An encoder's port that keeps how it rounds the latent."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[tuple[Tensor, Tensor]] = []

    def code_selected(self, u: Tensor | None, mean: Tensor, rows: Tensor, bank: Bank) -> Tensor:
        if bank is Bank.INTRA:
            self._parts.append((mean, rows))
        return super().code_selected(u, mean, rows, bank)

    def rounding(self, u: Tensor) -> Rounding:
        """That of the latent u, when it is coded."""
        _, h, w, n = u.shape
        part = parts_of(h, w, n, u.device)
        mean, row = torch.empty_like(u), torch.empty_like(u, dtype=torch.int32)
        for index, (means, rows) in enumerate(self._parts):
            mean.masked_scatter_(part == index, means)
            row.masked_scatter_(part == index, rows)
        return Rounding(mean, row)


@dataclass(frozen=True)
class Span:
    """Blocks of a tile along one axis.

    own and, with the margin, seen: of those of the picture. within: own, of those that are seen.
    """

    own: slice
    seen: slice
    within: slice

    def samples(self, block: int) -> slice:
        """What is seen, in samples of a plane whose blocks have so many a side."""
        return slice(self.seen.start * block, self.seen.stop * block)


@dataclass(frozen=True)
class CodedOnce:
    """A picture x, or a tile of one, with the modes and latent u it was coded with, and how u was rounded.

    qp: as of PictureCoder.forward.
    """

    x: Picture
    modes: Modes
    u: Tensor
    rounding: Rounding
    qp: Tensor

    def cut(self, rows: Span, columns: Span) -> CodedOnce:
        """A tile; copies, which may take part in gradients."""

        def blocks(grid: Tensor) -> Tensor:
            return grid[:, rows.seen, columns.seen].clone()

        y, u, v = (
            plane[:, rows.samples(block), columns.samples(block)].clone()
            for plane, block in zip(self.x, PLANES, strict=True)
        )
        modes = Modes(blocks(self.modes.split), blocks(self.modes.blur))
        rounding = Rounding(blocks(self.rounding.mean), blocks(self.rounding.row))
        qp = self.qp.clone() if self.qp.shape[1:] == (1, 1) else blocks(self.qp)
        return CodedOnce((y, u, v), modes, blocks(self.u), rounding, qp)


def coded_once(coder: PictureCoder, x: Picture, modes: Modes, u: Tensor, qp: Tensor) -> CodedOnce:
    """Code a latent to see how it is rounded."""
    b, h, w = x[0].shape
    recorder = Recorder()
    coder.code_latent((modes, u), None, None, (b, h, w), qp, recorder)
    return CodedOnce(x, modes, u, recorder.rounding(u), qp)


def spans(n_blocks: int) -> list[Span]:
    """Parts of about equal size, of at most TILE blocks."""
    n_tiles = -(-n_blocks // TILE)
    starts = [n_blocks * index // n_tiles for index in range(n_tiles + 1)]
    spans = []
    for start, stop in pairwise(starts):
        seen = slice(max(0, start - MARGIN), min(n_blocks, stop + MARGIN))
        spans.append(Span(slice(start, stop), seen, slice(start - seen.start, stop - seen.start)))
    return spans
