"""A pyramid of small networks that estimates optical flow from coarse to fine.

After Ranjan and Black, "Optical flow estimation using a spatial pyramid network" (CVPR 2017): each level
moves the picture before by the flow of the level above and adds what is still wrong. What a level sees of a
picture is split into structure, which is what the level above has of it, and detail, which is the rest: one
says where things went, the other how exactly. It is told, too, how well what lies around each place would fit
(the cost volume of Sun et al., "PWC-Net", CVPR 2018), so that it need not learn to compare.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nvc.models.warp import GRID

N_LEVELS = 5
FINEST_SCALE = 4  # luma pixels a side of a sample of the finest level
COARSEST_SCALE = FINEST_SCALE << N_LEVELS - 1
WIDTH = 24
REACH = 2  # samples, each way, that a level compares
N_SEEN = 6 + (2 * REACH + 1) ** 2
CENTRE, CONTRAST = 128.0, 32.0  # of luma, so that what networks see is of the order of 1
DETAIL_GAIN = 4.0  # detail is that much fainter than structure


class PyramidNetwork(nn.Module):
    """Flow between pictures of luma."""

    def __init__(self) -> None:
        super().__init__()
        self.levels = nn.ModuleList(_level() for _ in range(N_LEVELS))

    def forward(self, before: Tensor, current: Tensor) -> list[Tensor]:
        """Where samples of `current` lie in `before`, luma [b, h, w] from 0 to 255, sides at least 8.

        Returns the flow of each level from the coarsest to the finest, [b, 2, rows, columns], x then y, in
        samples of the level; sides are those of pictures padded to multiples of COARSEST_SCALE.
        """
        pyramids = zip(*map(_pyramid, (before, current)), strict=True)
        flows: list[Tensor] = []
        for level, (its_before, its_current) in zip(self.levels, pyramids, strict=True):
            b, _, rows, columns = its_current.shape
            if flows:
                flow = 2 * F.interpolate(flows[-1], (rows, columns), mode="bilinear")
            else:
                flow = its_current.new_zeros(b, 2, rows, columns)
            its_moved = moved(its_before, flow)
            seen = torch.cat([its_current, its_moved, flow, _costs(its_moved, its_current)], 1)
            flows.append(flow + level(seen))
        return flows

    def blocks(self, before: Tensor, current: Tensor) -> Tensor:
        """The finest flow of blocks of 8x8 luma pixels [b, h/8, w/8, 2] in luma pixels, for sides in 8."""
        rows, columns = (side // GRID for side in current.shape[1:])
        flow = FINEST_SCALE * F.avg_pool2d(self(before, current)[-1], GRID // FINEST_SCALE)
        return flow[:, :, :rows, :columns].permute(0, 2, 3, 1).contiguous()


def _level() -> nn.Sequential:
    """Structure and detail of both pictures, a flow, and costs, to what is to be added to the flow, at first
    nothing."""
    last = nn.Conv2d(WIDTH, 2, 3, padding=1)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)  # type: ignore[arg-type]
    return nn.Sequential(
        nn.Conv2d(N_SEEN, WIDTH, 3, padding=1),
        nn.LeakyReLU(0.1),
        nn.Conv2d(WIDTH, WIDTH, 3, padding=1),
        nn.LeakyReLU(0.1),
        nn.Conv2d(WIDTH, WIDTH, 3, padding=1),
        nn.LeakyReLU(0.1),
        last,
    )


def _pyramid(luma: Tensor) -> list[Tensor]:
    """Structure and detail [b, 2, rows, columns] of each level, from the coarsest to the finest."""
    pad = [-side % COARSEST_SCALE for side in luma.shape[1:]]
    x = F.pad((luma[:, None] - CENTRE) / CONTRAST, (0, pad[1], 0, pad[0]), mode="replicate")
    x = F.avg_pool2d(x, FINEST_SCALE)
    levels = []
    for _ in range(N_LEVELS):
        above = F.avg_pool2d(x, 2, ceil_mode=True)
        structure = F.interpolate(above, x.shape[2:], mode="bilinear")
        levels.append(torch.cat([structure, DETAIL_GAIN * (x - structure)], 1))
        x = above
    return levels[::-1]


def _costs(before: Tensor, current: Tensor) -> Tensor:
    """How far `current` [b, n, h, w] is from samples up to REACH away, mean over 3x3 samples and over n: of
    each of these places, [b, (2 * REACH + 1)**2, h, w], and 0 where it fits best."""
    h, w = current.shape[2:]
    wide = F.pad(before, (REACH,) * 4, mode="replicate")
    places = [(y, x) for y in range(2 * REACH + 1) for x in range(2 * REACH + 1)]
    off = torch.stack([(wide[:, :, y : y + h, x : x + w] - current).abs().mean(1) for y, x in places], 1)
    smooth = F.avg_pool2d(F.pad(off, (1,) * 4, mode="replicate"), 3, 1)
    return smooth - smooth.amin(1, keepdim=True)


def moved(x: Tensor, flow: Tensor) -> Tensor:
    """Samples of x [b, n, h, w] at their places plus flow [b, 2, h, w]; beyond the edge, the edge."""
    h, w = x.shape[2:]
    rows, columns = torch.arange(float(h)), torch.arange(float(w))
    place_x = (columns + flow[:, 0] + 0.5) * (2 / w) - 1
    place_y = (rows[:, None] + flow[:, 1] + 0.5) * (2 / h) - 1
    places = torch.stack([place_x, place_y], -1)
    return F.grid_sample(x, places, mode="bilinear", padding_mode="border", align_corners=False)
