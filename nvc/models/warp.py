"""Motion compensation: blocks that move as a whole, blended where they meet; all of it exact.

Vectors live on the 1/8 grid as (x, y), whole quarters of a luma pixel: one for each 8x8 block of luma and
the 4x4 blocks of chroma under it. A block is sampled with a separable interpolation filter of `TAPS` taps
whose coefficients are integers, a quarter of its side beyond its edges, and within that reach of an edge
the picture is a mean of what the blocks on its sides say. (Orchard and Sullivan, "Overlapped block motion
compensation", IEEE Trans. Image Processing 3(5), 1994.) Sums of the filter stay below 2**24, so float32
holds them exactly; blending is one operation at a time in a written order.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from nvc import kernels

if TYPE_CHECKING:
    from nvc.models.golden import Choice

Planes = tuple[Tensor, Tensor, Tensor]

VECTOR_UNIT = 4  # steps per luma pixel
GRID = 8  # luma pixels between vectors
FEATURE_UNIT = 16  # steps per position, of vectors that move features
FILTER_UNIT = 128
TAPS = 4
N_PHASES = 8  # of a sample: chroma's quarter of a luma pixel is an eighth of one of its own


def _filter_table() -> Tensor:
    """Cubic convolution (Keys, 1981) at each phase, [N_PHASES, TAPS] integers."""
    rows = []
    for phase in range(N_PHASES):
        f = phase / N_PHASES
        near = [((1.5 * x - 2.5) * x * x + 1) for x in (f, 1 - f)]
        far = [((-0.5 * x + 2.5) * x - 4) * x + 2 for x in (1 + f, 2 - f)]
        outer = [round(FILTER_UNIT * t) for t in far]
        first = round(FILTER_UNIT * near[0])
        rows.append([outer[0], first, FILTER_UNIT - sum(outer) - first, outer[1]])
    return torch.tensor(rows, dtype=torch.float32)


FILTER_TABLE = _filter_table()


def round_through(x: Tensor) -> Tensor:
    """Round half to even; in training the gradient passes as if nothing had been rounded."""
    return x + (x.round() - x).detach() if x.requires_grad else x.round()


def warp_plane(
    plane: Tensor,
    vectors: Tensor,
    block: int,
    unit: int,
    goldens: Sequence[tuple[Tensor, Choice]] = (),
) -> Tensor:
    """Move the blocks of planes [b, h, w] by integer vectors [b, h / block, w / block, 2], `unit` a sample.

    Beyond the border the nearest sample counts. goldens: other planes, and which blocks take those as well or
    instead, one after the other.
    """
    b, h, w = plane.shape
    blocks = _move_blocks(plane, vectors, block, unit)
    for golden, by in goldens:
        others = _move_blocks(golden, by.vectors, block, unit)
        kinds = by.kinds[..., None, None]
        blocks = torch.where(kinds == 1, (blocks + others) * 0.5, torch.where(kinds == 2, others, blocks))
    reach = block // 4
    across = _blend(blocks, reach)
    moved = _blend(across.transpose(1, 2).transpose(3, 4), reach).transpose(1, 2).transpose(3, 4)
    return moved.transpose(2, 3).reshape(b, h, w)


def _move_blocks(plane: Tensor, vectors: Tensor, block: int, unit: int) -> Tensor:
    """Blocks as their vectors have them, a quarter of a side beyond their edges: [b, .., side, side]."""
    b, h, w = plane.shape
    _, rows, columns, _ = vectors.shape
    reach = block // 4
    side = block + 2 * reach
    whole = torch.floor(vectors * (1.0 / unit))
    phase = ((vectors - whole * unit) * (N_PHASES / unit)).long()
    filters = FILTER_TABLE.to(plane.device)[phase]
    limit = float(max(h, w) + side)
    step = whole.clamp(-limit, limit).long()
    span = torch.arange(side + TAPS - 1, device=plane.device) - reach - (TAPS // 2 - 1)
    first_x = torch.arange(columns, device=plane.device) * block
    first_y = torch.arange(rows, device=plane.device)[:, None] * block
    x = ((first_x + step[..., 0])[..., None] + span).clamp(0, w - 1)
    y = ((first_y + step[..., 1])[..., None] + span).clamp(0, h - 1)
    picture = torch.arange(b, device=plane.device).view(b, 1, 1, 1, 1) * (h * w)
    patch = plane.flatten()[picture + y[..., :, None] * w + x[..., None, :]]
    lines = sum(patch[..., i : i + side] * filters[..., None, None, 0, i] for i in range(TAPS))
    assert isinstance(lines, Tensor)
    total = sum(lines[..., i : i + side, :] * filters[..., None, None, 1, i] for i in range(TAPS))
    assert isinstance(total, Tensor)
    return total * (1.0 / FILTER_UNIT**2)


def _blend(x: Tensor, reach: int) -> Tensor:
    """Blend blocks [b, rows, columns, n, block + 2 reach] with those left and right of each, by their last
    axis; without a neighbour a block stays as it is."""
    own = x[..., reach:-reach]
    left = torch.cat([own[:, :, :1, :, :reach], x[:, :, :-1, :, -reach:]], 2)
    right = torch.cat([x[:, :, 1:, :, :reach], own[:, :, -1:, :, -reach:]], 2)
    share = torch.tensor([own_share(i, reach) for i in range(reach)], device=x.device)
    begin = own[..., :reach] * share + left * (1 - share)
    share = share.flip(0)
    end = own[..., -reach:] * share + right * (1 - share)
    return torch.cat([begin, own[..., reach:-reach], end], -1)


def own_share(distance: int, reach: int) -> float:
    """A block's share of its sample that lies `distance` whole samples from an edge."""
    return 0.5 + (distance + 0.5) / (2 * reach)


def warp_picture(picture: Planes, vectors: Tensor, goldens: Sequence[tuple[Planes, Choice]] = ()) -> Planes:
    """Move Y [b, h, w] and U, V [b, h/2, w/2] by integer vectors on the 1/8 luma grid [b, h/8, w/8, 2].

    goldens: other pictures, and which blocks take those as well or instead (Choice.of_blocks).
    """
    units = (GRID, VECTOR_UNIT), (GRID // 2, 2 * VECTOR_UNIT), (GRID // 2, 2 * VECTOR_UNIT)
    moved = [
        _warp(plane, vectors, *unit, [(golden[i], by) for golden, by in goldens])
        for i, (plane, unit) in enumerate(zip(picture, units, strict=True))
    ]
    return moved[0], moved[1], moved[2]


def _warp(
    plane: Tensor, vectors: Tensor, block: int, unit: int, goldens: Sequence[tuple[Tensor, Choice]]
) -> Tensor:
    if not kernels.usable(plane, vectors):
        return warp_plane(plane, vectors, block, unit, goldens)
    from nvc.kernels.warp import warp_plane as warp

    run = partial(warp, block=block, unit=unit, filters=FILTER_TABLE.numpy())
    others = [part for golden, by in goldens for part in (golden, by.vectors, by.kinds)]
    return kernels.each(run, plane, vectors, *others)


def warp_features(features: Tensor, vectors: Tensor) -> Tensor:
    """Sample features [b, h, w, c] bilinearly at vectors [b, h, w, 2] given in 1/16 of their own grid.

    Weights are multiples of 1/256, so that each product is one rounded operation in a fixed order.
    """
    if kernels.usable(features, vectors):
        from nvc.kernels.warp import warp_features as warp

        return kernels.each(warp, features, vectors)
    b, h, w, c = features.shape
    whole = torch.floor(vectors * (1.0 / FEATURE_UNIT))
    fraction = (vectors - whole * FEATURE_UNIT) * (1.0 / FEATURE_UNIT)
    reach = float(max(h, w) + 1)
    step = whole.clamp(-reach, reach).long()
    left = torch.arange(w, device=features.device).view(1, 1, w) + step[..., 0]
    top = torch.arange(h, device=features.device).view(1, h, 1) + step[..., 1]
    batch = (torch.arange(b, device=features.device) * (h * w)).view(b, 1, 1)
    flat = features.reshape(b * h * w, c)

    def at(row: Tensor, column: Tensor) -> Tensor:
        index = batch + row.clamp(0, h - 1) * w + column.clamp(0, w - 1)
        return flat.index_select(0, index.reshape(-1)).reshape(b, h, w, c)

    fx, fy = fraction[..., :1], fraction[..., 1:]
    upper = at(top, left) * (1.0 - fx) + at(top, left + 1) * fx
    lower = at(top + 1, left) * (1.0 - fx) + at(top + 1, left + 1) * fx
    return upper * (1.0 - fy) + lower * fy


def feature_vectors(vectors: Tensor) -> Tensor:
    """Vectors of the 1/8 grid in FEATURE_UNITs of it."""
    return (vectors * (FEATURE_UNIT / (VECTOR_UNIT * GRID))).round()


def pool_vectors(vectors: Tensor) -> Tensor:
    """Vectors of the 1/8 grid -> the 1/16 grid, in FEATURE_UNITs of it."""
    mean = F.avg_pool2d(vectors.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)
    return (mean * (FEATURE_UNIT / (VECTOR_UNIT * 2 * GRID))).round()
