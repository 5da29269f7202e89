"""Where the encoder's motion vectors come from: optical flow proposes, a block search disposes.

Dense flow between source frames says where things went. Each block then takes, of what the flow, its
neighbours, the frame before and standing still propose, and of what lies around the best of these, the vector
whose squared error against the decoded reference and whose bits together cost least. At last, while the
vectors are coded and the network says what each would take, they are weighed once more; by a slow encoder
twice, the second time with an idea of what is to come.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nvc import kernels
from nvc.flow import DIS, SMALLEST_SIDE, flow_of
from nvc.frames import edged
from nvc.golden_search import GoldenSearch
from nvc.models.golden import Choice, Choose, Golden, Kind, choose_none
from nvc.models.motion_coder import SYMBOLS_OF_RANKS, Expected
from nvc.models.picture_coder import bits_per_squared_error
from nvc.models.quantiser import N_SCALES, laplace_bits, table_rows
from nvc.models.warp import VECTOR_UNIT

Plane = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]

# Blocks a side of the regions that move as wholes, in the order in which they are tried; of each plan.
_BOTH = (4, 2, 1, 2, 1), (8, 4, 2, 1, 4, 2, 1, 2, 1)
_PLANS = {"fast": ((4, 2, 1),), "medium": _BOTH, "slow": _BOTH}
_RECONSIDERING = {"slow"}

# About what the entropy model takes for each component in which a vector differs from one beside it.
BITS_OF_DIFFERENCE, BITS_OF_DOUBLING, SHARE_OF_EACH_NEIGHBOUR = 2.6, 0.5, 0.6
DIFFERENCE_MAX = 256
PRICED_SYMBOL_MAX = 511  # dearer ones count as this
# At last, of a neighbour that is still to come; and where a coefficient of the residual is better coded.
SHARE_OF_LATER_NEIGHBOUR, KNEE_BITS = 0.42, 6.0
# How much of a block's residual counts, seen from its vector, where a golden picture has its say, too.
SHARE_OF_COMPOUND, SHARE_OF_GOLDEN = 0.5, 0.05


class MotionSearch:
    """A flow between source frames, which may propose ahead of the coding, then a search by blocks in the
    picture that the decoder will move."""

    def __init__(self, preset: str = "medium", flow: str = DIS) -> None:
        """flow: one of nvc.config.FLOWS."""
        self._plans = _PLANS[preset]
        self._reconsiders = preset in _RECONSIDERING
        self.propose: Callable[[Plane, Plane], Floats] = flow_of(flow)

    def search(
        self,
        reference: Plane,
        current: Plane,
        proposed: Floats,
        previous: Floats,
        qp: float,
        goldens: Sequence[tuple[Plane, Floats | None]] = (),
    ) -> FoundMotion:
        """The vectors to code `current` with, in the decoded luma `reference`.

        proposed: see `propose`. previous: those of the frame before: [h/8, w/8, 2] float32, whole
        quarters of a luma pixel. qp: of the picture; bits weigh more the higher it is. goldens: the
        decoded luma of golden pictures, which superblocks may choose, and what `propose` said of each.
        Without numba there is no search, and blocks move with the flow.
        """
        if min(current.shape) < SMALLEST_SIDE:
            return FoundMotion(np.zeros_like(proposed))
        flow = np.rint(proposed * VECTOR_UNIT)
        if not kernels.INSTALLED:
            return FoundMotion(flow)
        from nvc.kernels.search import ERROR_UNIT, REACH, search_blocks, shifted_planes

        median = np.broadcast_to(np.rint(np.median(flow.reshape(-1, 2), axis=0)), flow.shape)
        candidates = np.stack([flow, np.zeros_like(flow), previous, median]).astype(np.int32)
        bits_per_square = bits_per_squared_error(qp)
        prices = SHARE_OF_EACH_NEIGHBOUR * bits_of_differences() / (bits_per_square * ERROR_UNIT)
        padded = edged(current, REACH)
        planes = shifted_planes(reference)
        vectors = search_blocks(planes, padded, candidates, prices, self._plans)
        choose = GoldenSearch(
            planes,
            tuple(luma for luma, _ in goldens),
            padded,
            tuple(
                None if its_flow is None else np.rint(its_flow * VECTOR_UNIT).astype(np.int32)
                for _, its_flow in goldens
            ),
            prices,
            bits_per_square,
            KNEE_BITS,
            bits_of_symbols(),
        )
        seen = Seen(planes, padded, bits_per_square)
        return FoundMotion(vectors.astype(np.float32), seen, choose, self._reconsiders)


@dataclass(frozen=True)
class Seen:
    """What vectors were found in: the reference's shifted planes and the padded picture, see
    nvc.kernels.search; and what a squared error is worth in bits."""

    planes: Plane
    current: Plane
    bits_per_square: float


@dataclass(frozen=True)
class FoundMotion:
    """The vectors of a picture [h/8, w/8, 2], in whole quarters of a luma pixel.

    Without `seen` they are final. reconsider: whether they are worth a second word.
    """

    vectors: Floats
    seen: Seen | None = None
    choose: Choose = choose_none
    reconsider: bool = False


class LastWord:
    """What is decided while a batch of pictures is coded: it is a Decision and has a Choose.

    Of what the search found, the candidates and what lies around the first, the cheapest.

    An option costs its bits, about what its residual will take, and what it takes to differ from what was
    found for those neighbours that are not coded yet.
    """

    def __init__(self, found: Sequence[FoundMotion], shares: Floats | None = None) -> None:
        """found: of each picture of a batch, of one size. shares: of each block [b, h/8, w/8], how much its
        residual counts; None: all of it."""
        self.vectors = torch.from_numpy(np.stack([picture.vectors for picture in found]))
        self._found = found
        self._shares = np.ones(self.vectors.shape[:3], np.float32) if shares is None else shares
        self._fields = self.vectors.to(torch.int32).numpy()
        self._is_coded = np.zeros(self._fields.shape[1:3], bool)

    def __call__(self, here: Tensor, own: Tensor, expected: Expected) -> Tensor:
        places = here.cpu().numpy()
        self._is_coded.reshape(-1)[places] = True
        parts = own, expected.candidates, expected.rank, table_rows(expected.scale), expected.mean
        numbers = (part.int().cpu().numpy() for part in parts)
        pictures = zip(self._found, self._fields, self._shares, *numbers, strict=True)
        return torch.from_numpy(np.stack([self._decided(places, *p) for p in pictures])).to(own)

    def choose(self, goldens: Sequence[Golden], vectors: Tensor) -> tuple[Choice, ...]:
        """A Choose: what was found of golden pictures, of each picture in turn."""
        own = vectors.cpu()
        each = [
            picture.choose([golden.of_picture(index) for golden in goldens], own[index : index + 1])
            for index, picture in enumerate(self._found)
        ]
        return tuple(Choice.of_batch(choices, vectors.device) for choices in zip(*each, strict=True))

    def again(self, vectors: Tensor, choices: Sequence[Choice]) -> LastWord:
        """What is decided with these vectors to come, where superblocks have made these choices: of a block
        that is taken from a golden picture the vector to the last one hardly matters."""
        shares = torch.ones(vectors.shape[:3])
        for choice in choices:
            kinds = choice.of_blocks(*vectors.shape[1:3]).kinds.cpu()
            shares = torch.where(kinds == Kind.COMPOUND, shares * SHARE_OF_COMPOUND, shares)
            shares = shares.masked_fill(kinds == Kind.GOLDEN, SHARE_OF_GOLDEN)
        pairs = zip(self._found, vectors.cpu().numpy(), strict=True)
        return LastWord([replace(found, vectors=own) for found, own in pairs], shares.numpy())

    def _decided(
        self,
        places: npt.NDArray[np.int64],
        found: FoundMotion,
        field: Ints,
        shares: Floats,
        own: Ints,
        *expected: Ints,
    ) -> Ints:
        if found.seen is None:
            return own
        from nvc.kernels.decision import decide

        seen = found.seen
        prices = SHARE_OF_LATER_NEIGHBOUR * bits_of_differences()
        surroundings = seen.planes, seen.current, field, self._is_coded, prices, shares
        symbols = bits_of_symbols(), np.array(SYMBOLS_OF_RANKS, np.int32)
        return decide(surroundings, symbols, places, own, expected, seen.bits_per_square, KNEE_BITS)


@lru_cache(maxsize=1)
def bits_of_symbols() -> Floats:
    """About what symbols 0 to PRICED_SYMBOL_MAX of each table row take; [N_SCALES, PRICED_SYMBOL_MAX + 1]."""
    return laplace_bits(torch.arange(PRICED_SYMBOL_MAX + 1.0), torch.arange(float(N_SCALES))[:, None]).numpy()


@lru_cache(maxsize=1)
def bits_of_differences() -> Floats:
    """What a component takes that differs by 0, 1, .. DIFFERENCE_MAX quarters."""
    size = np.arange(DIFFERENCE_MAX + 1, dtype=np.float32)
    bits = BITS_OF_DIFFERENCE + BITS_OF_DOUBLING * np.log2(np.maximum(size, 1))
    return np.where(size > 0, bits, 0).astype(np.float32)
