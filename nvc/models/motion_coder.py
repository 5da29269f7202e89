"""Motion: one vector for each 8x8 block, sent as it is, coarse to fine.

Vectors are whole quarters of a pixel and piecewise constant, with edges where things move past one another;
so they are not transformed and not rounded again. Every eighth one in both directions comes first, then
those in the middle of four that are known, then those between two and two, until all are there: every vector
but the first has four known ones around it. Most often it is one of these four or what it was in the frame
before, and a symbol says which, those nearest to all others first; else it is coded by its difference from
the first. A small network knows how likely all that is.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nvc import kernels
from nvc.models.config import CodecConfig
from nvc.models.latent_coder import Modulation
from nvc.models.layers import Pointwise
from nvc.models.quantiser import Bank, CodingPort, Port, table_rows
from nvc.models.warp import round_through

if TYPE_CHECKING:
    from nvc.kernels.motion import PackedMotion

VECTOR_MAX = float(1 << 13)  # quarters of a pixel
COARSEST = 8  # blocks between the vectors that come first
N_PASSES = 7
SYMBOLS_PER_VECTOR = 3  # at most: which of the known ones, or how far from the first in x and y
FIRST_ROW = 16.0  # of a network that has not learned how vectors differ
# What the network sees of a difference: it, its size, and its size where it is large.
NEAR_SCALE, FAR_SCALE, DIFFERENCE_MAX = 1 / 4, 1 / 32, 4.0
N_DIFFERENCES = 13
NEW = -1.0  # the symbol of a vector that no candidate is
SYMBOLS_OF_RANKS = (0.0, 1.0, 2.0, -2.0, 3.0, NEW)  # of ranks 0 to 4, and last, so also of rank -1, of none
N_INPUTS = 6 * N_DIFFERENCES + N_PASSES


@lru_cache(maxsize=16)
def passes(rows: int, columns: int, device: torch.device) -> tuple[tuple[Tensor, Tensor], ...]:
    """Which vectors of a grid each pass brings, as places int64 [n] in the flattened grid, and the four
    around each of them [n, 4]: after the first pass known ones, at the ends those on the other side."""
    y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")

    def around(here: Tensor, offsets: list[tuple[int, int]]) -> tuple[Tensor, Tensor]:
        own_y, own_x = y[here], x[here]
        places = []
        for down, right in offsets:
            to_y = _inside(own_y + down, own_y - down, rows)
            to_x = _inside(own_x + right, own_x - right, columns)
            places.append(torch.where((to_y < 0) | (to_x < 0), -1, to_y * columns + to_x))
        every = torch.stack(places, -1)
        own = own_y * columns + own_x
        some = every.amax(-1, keepdim=True)
        return own, torch.where(every < 0, torch.where(some < 0, own[:, None], some), every)

    def on(step: int, down: int, right: int) -> Tensor:
        return (y % step == down) & (x % step == right)

    def beside(step: int) -> list[tuple[int, int]]:
        return [(-step, 0), (step, 0), (0, -step), (0, step)]

    s = COARSEST
    first = on(s, 0, 0)
    found = [around(first, beside(s))]
    while s > 1:
        half = s // 2
        corners = [(-half, -half), (-half, half), (half, -half), (half, half)]
        found.append(around(on(s, half, half), corners))
        found.append(around(on(s, 0, half) | on(s, half, 0), beside(half)))
        s = half
    return tuple((here.to(device), near.to(device)) for here, near in found)


def _inside(place: Tensor, mirrored: Tensor, n: int) -> Tensor:
    """`place` where it is in 0..n - 1, else `mirrored` where that is, else -1."""
    mirrored = torch.where((mirrored >= 0) & (mirrored < n), mirrored, -1)
    return torch.where((place >= 0) & (place < n), place, mirrored)


class MotionCoder(nn.Module):
    """Codes vectors [b, h/8, w/8, 2] in quarters of a luma pixel, given those of the frame before."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        width = config.motion_width
        self.enter = Pointwise(N_INPUTS, width)
        self.modulation = Modulation(width)
        self.middle = Pointwise(width, width)
        self.leave = Pointwise(width, 5, silent=True)

    def forward(
        self,
        vectors: Tensor | None,
        previous: Tensor,
        qp: Tensor,
        port: Port,
        decide: Decision | None = None,
    ) -> Tensor:
        """Code `vectors`, or decode them when None; returns them.

        vectors, previous: [b, h/8, w/8, 2], whole numbers within VECTOR_MAX. qp: int64 [b, 1, 1]. decide:
        has the last word on each of `vectors`.
        """
        b, rows, columns, _ = previous.shape
        before = previous.flatten(1, 2)
        given = None if vectors is None else vectors.flatten(1, 2)
        known = torch.zeros_like(before)
        packed = self._packed(qp) if self._fits_kernels(known) else None
        for index, (here, around) in enumerate(passes(rows, columns, previous.device)):
            if not len(here):
                continue
            expected = self._expect(known, before, here, around, index, qp, packed)
            own = None if given is None else given[:, here]
            if own is not None and decide is not None:
                own = decide(here, own, expected)
            found = self._code(own, expected, port)
            known = known.index_copy(1, here, found.clamp(-VECTOR_MAX, VECTOR_MAX))
        return known.view(b, rows, columns, 2)

    def _expect(
        self,
        known: Tensor,
        before: Tensor,
        here: Tensor,
        around: Tensor,
        index: int,
        qp: Tensor,
        packed: PackedMotion | None,
    ) -> Expected:
        """See `look_around`; packed: where kernels run, the network as they read it."""
        if packed is not None:
            from nvc.kernels.motion import expect

            vectors, places = (known[0].numpy(), before[0].numpy()), (here.numpy(), around.numpy())
            found = expect(*vectors, *places, index, packed)
            return Expected(*(torch.from_numpy(part)[None] for part in found))
        candidates, rank, seen = look_around(known, before, here, around, index)
        x = F.leaky_relu(self.modulation(self.enter(seen[:, None]), qp), 0.125)
        parameters = self.leave(F.leaky_relu(self.middle(x), 0.125))[:, 0]
        scale = (parameters[..., :3] + FIRST_ROW).clamp(min=1.0)
        mean = candidates[:, :, 0] + round_through(parameters[..., 3:])
        return Expected(candidates, rank, scale, mean)

    def _code(self, own: Tensor | None, expected: Expected, port: Port) -> Tensor:
        """Code vectors [b, n, 2] of a pass, or decode them when None."""
        symbol = None if own is None else symbol_of_rank(expected.rank_of(own))
        if isinstance(port, CodingPort) and self._fits_kernels(expected.mean):
            return self._code_selected(own, symbol, expected, port)
        scale, silent = expected.scale, torch.zeros_like(expected.scale[..., :1])
        symbol = port.code(symbol, silent, scale[..., :1], None, Bank.CHOICE).detach()
        rank = rank_of_symbol(symbol)
        new = port.code(own, expected.mean, scale[..., 1:], rank < 0, Bank.VECTOR).detach()
        return torch.where(rank < 0, new, taken(rank, expected.candidates, expected.rank))

    def _fits_kernels(self, vectors: Tensor) -> bool:
        return self.leave.exact and len(vectors) == 1 and kernels.usable(vectors)

    def _packed(self, qp: Tensor) -> PackedMotion:
        from nvc.kernels.motion import PackedMotion

        layers = self.enter.packed, self.middle.packed, self.leave.packed
        gain, shift = (table(qp)[0, 0, 0].numpy() for table in (self.modulation.gain, self.modulation.shift))
        scales = NEAR_SCALE, FAR_SCALE, DIFFERENCE_MAX
        return PackedMotion(layers, gain, shift, scales, N_PASSES, FIRST_ROW)

    def _code_selected(
        self, own: Tensor | None, symbol: Tensor | None, expected: Expected, port: CodingPort
    ) -> Tensor:
        """What `_code` does, of one picture, with fewer steps."""
        from nvc.kernels.motion import take

        rows = table_rows(expected.scale[0]).to(torch.int32)
        symbol = None if symbol is None else symbol.flatten()
        silent = torch.zeros(len(rows))
        chosen = rank_of_symbol(port.code_selected(symbol, silent, rows[:, 0], Bank.CHOICE))
        is_new = chosen < 0
        wanted = None if own is None else own[0][is_new].flatten()
        new = port.code_selected(
            wanted, expected.mean[0][is_new].flatten(), rows[is_new, 1:].flatten(), Bank.VECTOR
        )
        known = expected.candidates[0].numpy(), expected.rank[0].numpy()
        return torch.from_numpy(take(chosen.numpy(), *known, new.view(-1, 2).numpy()))[None]


@dataclass(frozen=True)
class Expected:
    """What is known of n vectors before they are coded.

    candidates: [b, n, 5, 2], and rank: [b, n, 5], see `ranked`. scale: [b, n, 3], positions in the tables
    of the choice, of x and of y. mean: [b, n, 2], of vectors that are new.
    """

    candidates: Tensor
    rank: Tensor
    scale: Tensor
    mean: Tensor

    def rank_of(self, vectors: Tensor) -> Tensor:
        """The ranks of the candidates that vectors [b, n, 2] are, -1 for none: int64 [b, n, 1]."""
        is_it = (self.candidates == vectors[:, :, None]).all(-1)
        return torch.where(is_it, self.rank, -1).amax(-1, keepdim=True)


class Decision(Protocol):
    """An encoder's last word on vectors, when it is known what they would cost."""

    def __call__(self, here: Tensor, own: Tensor, expected: Expected) -> Tensor:
        """Vectors [b, n, 2] in place of `own`; here: int64 [n], their places in the flattened grid."""
        ...


def look_around(
    known: Tensor, before: Tensor, here: Tensor, around: Tensor, index: int
) -> tuple[Tensor, Tensor, Tensor]:
    """What is known where vectors are to be coded.

    known, before: [b, rows * columns, 2], vectors of this frame and of the last; here [n], around [n, 4]:
    places of pass `index`. Returns candidates [b, n, 5, 2] and their ranks [b, n, 5], see `ranked`, and what
    the network sees [b, n, N_INPUTS].
    """
    own_before, near_before = before[:, here, None], before[:, around]
    near = known[:, around] if index else near_before
    candidates, rank = ranked(torch.cat([near, own_before], 2))
    first = candidates[:, :, :1]
    then = near_before - near, near_before - own_before
    d = torch.cat([near - first, own_before - first, *then], 2).flatten(2)
    small = (d * NEAR_SCALE).clamp(-DIFFERENCE_MAX, DIFFERENCE_MAX)
    large = (d.abs() * FAR_SCALE).clamp(max=DIFFERENCE_MAX)
    which = torch.zeros(*d.shape[:2], N_PASSES, device=d.device)
    which[..., index] = 1.0
    return candidates, rank, torch.cat([small, small.abs(), large, which], -1)


def ranked(vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Vectors [b, n, k, 2] by the sum of their distances |x| + |y| to all others, and the rank of each among
    those that differ: int64 [b, n, k], -1 for one that has been there already.

    (The first is the vector median: Astola et al., Proc. IEEE 78(4), 1990.)
    """
    whole = vectors.long()
    distance = (whole[:, :, :, None] - whole[:, :, None]).abs().sum((-1, -2))
    order = torch.argsort(distance, dim=-1, stable=True)
    vectors = vectors.gather(2, order[..., None].expand(-1, -1, -1, 2))
    k = vectors.shape[2]
    is_equal = (vectors[:, :, :, None] == vectors[:, :, None]).all(-1)
    earlier = torch.ones(k, k, dtype=torch.bool, device=vectors.device).tril(-1)
    is_first = ~(is_equal & earlier).any(-1)
    return vectors, torch.where(is_first, is_first.cumsum(-1) - 1, -1)


def symbol_of_rank(rank: Tensor) -> Tensor:
    """Ranks 0 to 4 and -1, of new vectors, as the symbols that are sent: the likelier, the nearer to 0."""
    return torch.tensor(SYMBOLS_OF_RANKS, device=rank.device)[rank]


def rank_of_symbol(symbol: Tensor) -> Tensor:
    """Undo `symbol_of_rank`; any other symbol counts as the nearest of its sign. int64."""
    rank = torch.where(symbol < NEW, 3.0, symbol)
    return torch.where(symbol > 2, 4.0, rank).long()


def taken(chosen: Tensor, candidates: Tensor, rank: Tensor) -> Tensor:
    """The candidates [b, n, 2] of ranks [b, n, 1]; beyond the last rank, the last."""
    is_it = rank == chosen.clamp(min=0).minimum(rank.amax(-1, keepdim=True))
    place = torch.where(is_it, torch.arange(rank.shape[-1], device=rank.device), 0).amax(-1)
    return candidates.gather(2, place[..., None, None].expand(-1, -1, 1, 2))[:, :, 0]
