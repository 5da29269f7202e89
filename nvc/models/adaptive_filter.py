"""The adaptive filter: the last thing that happens to a picture, for what is left of blur and noise.

Each sample gets a small correction from its neighbours, by symmetrical taps. Luma has taps of its own for
each of twelve kinds of place: how much happens there, and whether along an axis, along a diagonal, or in no
one direction; turned so that what happens runs the same way everywhere. (The adaptive loop filter of VVC:
Karczewicz et al., "VVC In-Loop Filters", IEEE TCSVT 31(10), 2021.) Taps for each range of qp come with the
weights, fitted by least squares; a frame may send what is to be added to them, which then stays.

P frames are predicted from a keyframe as it is filtered, but from one another as they were before: what is
copied from frame to frame would be filtered again each time.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nvc import kernels
from nvc.models.config import N_QP
from nvc.models.quantiser import Bank, Port
from nvc.models.warp import Planes

# Where the neighbours are, rows down and columns right; each stands for the one opposite, too.
NEIGHBOURS = ((0, 1), (1, 0), (1, 1), (1, -1), (0, 2), (2, 0))
REACH = 2
N_TAPS = len(NEIGHBOURS)
TAP_UNIT, TAP_MAX = 128, 255
# Kinds of luma are told apart in quads of 2x2 samples, by second differences of the 6x6 around: by their sum
# both ways, and by whether one direction has more than 17/10 of what the one across has.
ACTIVITY_FROM = (216, 504, 1080)
MORE, THAN = 10, 17
N_KINDS = 3 * (len(ACTIVITY_FROM) + 1)
N_SETS = N_KINDS + 2  # and one for each chroma plane
N_RANGES, QP_PER_RANGE = 8, N_QP // 8
# Table rows: whether anything is sent, whether a set changes, and by how much its taps do.
SENDS_ROW, CHANGES_ROW, TAP_ROW = 8.0, 16.0, 34.0
SYMBOLS_PER_FRAME = 1 + N_SETS + N_SETS * N_TAPS  # at most


def _orders() -> tuple[tuple[int, ...], ...]:
    """Which tap each neighbour takes: as they are, mirrored, transposed, both."""

    def place(down: int, right: int) -> int:
        here = down, right
        return NEIGHBOURS.index(here if here in NEIGHBOURS else (-down, -right))

    mirrored = tuple(place(down, -right) for down, right in NEIGHBOURS)
    transposed = tuple(place(right, down) for down, right in NEIGHBOURS)
    return tuple(range(N_TAPS)), mirrored, transposed, tuple(mirrored[i] for i in transposed)


ORDERS = _orders()


class AdaptiveFilter(nn.Module):
    """The taps that come with the weights: of I and of P frames, for each range of qp; whole numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("taps", torch.zeros(2, N_RANGES, N_SETS, N_TAPS), persistent=False)
        self.taps: Tensor

    def forward(
        self, picture: Planes, qp: Tensor, offsets: Tensor | None = None, *, predicts: bool
    ) -> Planes:
        """Filter Y [b, h, w] and U, V [b, h/2, w/2] of whole numbers from -128 to 127.

        qp: int64 [b, 1, 1] or [b, h/16, w/16]. offsets: what the stream adds to taps [N_SETS, N_TAPS].
        predicts: whether it is a P frame.
        """
        taps = self.taps[int(predicts)]
        if offsets is not None:
            taps = (taps + offsets).clamp(-TAP_MAX, TAP_MAX)
        if not taps.any():
            return picture
        ranges = qp // QP_PER_RANGE
        if len(picture[0]) == 1 and kernels.usable(*picture):
            from nvc.kernels.adaptive_filter import filter_planes

            planes = [plane[0].numpy() for plane in picture]
            filtered = filter_planes(planes, taps.int().numpy(), ranges[0].int().numpy())
            y, u, v = (torch.from_numpy(plane)[None] for plane in filtered)
            return y, u, v
        rows, columns = picture[0].shape[1] // 2, picture[0].shape[2] // 2
        ranges = _spread(ranges, rows, columns)
        kinds, order = classify(picture[0])
        of_quads = taps[ranges, kinds].gather(-1, torch.tensor(ORDERS, device=taps.device)[order])
        y = _filtered(picture[0], _spread(of_quads, 2 * rows, 2 * columns))
        u, v = (_filtered(picture[1 + i], taps[ranges, N_KINDS + i]) for i in range(2))
        return y, u, v

    def set_exact(self, taps: Tensor) -> None:
        """Take taps of a weights file, any integers. Raises ValueError where one is out of range."""
        self.taps = taps.float()
        if float(self.taps.abs().max()) > TAP_MAX:
            raise ValueError(f"taps of the adaptive filter are beyond {TAP_MAX}")


def code_offsets(own: Tensor | None, before: Tensor, port: Port) -> Tensor:
    """Code what is added to taps, or decode it when None; own, before: [N_SETS, N_TAPS]. before: that of the
    last P frame, 0 in I frames and in the first."""

    def code(symbols: Tensor | None, row: float, shape: Tensor, mask: Tensor | None) -> Tensor:
        return port.code(symbols, torch.zeros_like(shape), torch.full_like(shape, row), mask, Bank.HYPER)

    changes = None if own is None else (own != before).any(-1, keepdim=True).float()
    sends = None if changes is None else changes.amax().view(1)
    sends = code(sends, SENDS_ROW, before[0, :1], None) != 0
    changes = code(changes, CHANGES_ROW, before[:, :1], sends) != 0
    difference = None if own is None else own - before
    difference = code(difference, TAP_ROW, before, changes)
    return (before + difference).clamp(-TAP_MAX, TAP_MAX)


def classify(luma: Tensor) -> tuple[Tensor, Tensor]:
    """The kind and the order of taps (see ORDERS) of each quad; int64 [b, h/2, w/2]."""
    wide = F.pad(luma[:, None], (1, 1, 1, 1), mode="replicate")[:, 0].detach()
    h, w = luma.shape[1:]

    def across(down: int, right: int) -> Tensor:
        there = wide[:, 1 + down : 1 + down + h, 1 + right : 1 + right + w]
        opposite = wide[:, 1 - down : 1 - down + h, 1 - right : 1 - right + w]
        size = (2 * luma.detach() - there - opposite).abs()
        quads = size[:, ::2, ::2] + size[:, ::2, 1::2] + size[:, 1::2, ::2] + size[:, 1::2, 1::2]
        padded = F.pad(quads[:, None], (1, 1, 1, 1), mode="replicate")[:, 0]
        rows = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
        return (rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:]).long()

    vertical, horizontal, falling, rising = across(1, 0), across(0, 1), across(1, 1), across(1, -1)
    active = torch.tensor(ACTIVITY_FROM, device=luma.device)
    activity = (vertical + horizontal)[..., None].ge(active).sum(-1)
    most, least = vertical.maximum(horizontal), vertical.minimum(horizontal)
    most_diagonal, least_diagonal = falling.maximum(rising), falling.minimum(rising)
    is_straight = most * least_diagonal >= most_diagonal * least
    directed = torch.where(is_straight, 2 * (MORE * most > THAN * least), 0)
    directed = torch.where(is_straight, directed, 1 * (MORE * most_diagonal > THAN * least_diagonal))
    return 3 * activity + directed, 2 * (vertical > horizontal) + 1 * (rising > falling)


def _spread(x: Tensor, rows: int, columns: int) -> Tensor:
    """Repeat [b, r, c, ..] up to [b, rows, columns, ..], multiples of it."""
    return x.repeat_interleave(rows // x.shape[1], 1).repeat_interleave(columns // x.shape[2], 2)


def _filtered(plane: Tensor, taps: Tensor) -> Tensor:
    """Add to a plane [b, h, w] what taps [b, h, w, N_TAPS] make of its neighbours; gradients pass."""
    _, h, w = plane.shape
    wide = F.pad(plane[:, None], (REACH,) * 4, mode="replicate")[:, 0]
    total = torch.zeros_like(plane)
    for index, (down, right) in enumerate(NEIGHBOURS):
        there = wide[:, REACH + down : REACH + down + h, REACH + right : REACH + right + w]
        opposite = wide[:, REACH - down : REACH - down + h, REACH - right : REACH - right + w]
        total = total + taps[..., index] * (there + opposite - 2 * plane)
    exact = total * (1 / TAP_UNIT)
    whole = (exact + 0.5).floor()
    return (plane + exact + (whole - exact).detach()).clamp(-128.0, 127.0)
