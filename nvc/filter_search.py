"""What the encoder sends for the adaptive filter: taps that fit a frame better, where it pays."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nvc import kernels
from nvc.models.adaptive_filter import (
    CHANGES_ROW,
    N_KINDS,
    N_TAPS,
    QP_PER_RANGE,
    SENDS_ROW,
    TAP_MAX,
    TAP_ROW,
    TAP_UNIT,
    AdaptiveFilter,
)
from nvc.models.picture_coder import (
    QP_PER_CHROMA_DOUBLING,
    QP_PER_DOUBLING,
    Picture,
    bits_per_squared_error,
)
from nvc.motion_search import bits_of_symbols

Doubles = npt.NDArray[np.float64]

# How often what an I frame and a P frame save counts: taps of P frames stay.
TIMES_SAVED = (1.0, 1.5)
STEADINESS = 100.0  # by how many squared differences of neighbours a set holds on to the taps that it has


def fitted_offsets(
    adaptive_filter: AdaptiveFilter,
    decoded: Picture,
    original: Picture,
    qp: int,
    before: Tensor,
    *,
    predicts: bool,
) -> Tensor:
    """What a frame's stream adds to taps [N_SETS, N_TAPS]: `before`, or a better fit for some sets.

    decoded, original: Y [1, h, w] and U, V of whole numbers; decoded: not yet filtered. qp: of the frame.
    Without numba nothing is fitted.
    """
    if not kernels.INSTALLED:
        return before
    from nvc.kernels.adaptive_filter import moments

    planes = [[plane[0].cpu().numpy() for plane in picture] for picture in (decoded, original)]
    sums = moments(*planes)
    own = adaptive_filter.taps[int(predicts), qp // QP_PER_RANGE].cpu().numpy().astype(np.float64)
    kept = before.cpu().numpy().astype(np.float64)
    fitted = _fitted(sums, own + kept) - own
    chosen, saved = kept.copy(), 0.0
    for index, (sum_, new) in enumerate(zip(sums, np.clip(fitted, -TAP_MAX, TAP_MAX), strict=True)):
        squares = _error(sum_, own[index] + kept[index]) - _error(sum_, own[index] + new)
        doubling = QP_PER_DOUBLING if index < N_KINDS else QP_PER_CHROMA_DOUBLING
        gain = TIMES_SAVED[int(predicts)] * bits_per_squared_error(qp, doubling) * squares
        gain -= _bits(new - kept[index], TAP_ROW) + _bits([1], CHANGES_ROW) - _bits([0], CHANGES_ROW)
        if gain > 0:
            chosen[index], saved = new, saved + gain
    costs = _bits([1], SENDS_ROW) - _bits([0], SENDS_ROW) + len(sums) * _bits([0], CHANGES_ROW)
    return torch.from_numpy(chosen).to(before) if saved > costs else before


def _fitted(sums: Doubles, taps: Doubles) -> Doubles:
    """The best taps of each set by whole units, or near them: rounded one after the other, the others
    following.

    Solved here, as LAPACK's threads would go on spinning long after so little work.
    """
    products = sums[..., :N_TAPS] + STEADINESS * TAP_UNIT * np.eye(N_TAPS)
    wanted = sums[..., N_TAPS] * TAP_UNIT + STEADINESS * TAP_UNIT * taps
    for last in range(N_TAPS - 1, 0, -1):  # a tap's row is left with what it says of those before it
        share = products[:, :last, last] / products[:, last, None, last]
        products[:, :last] -= share[..., None] * products[:, None, last]
        wanted[:, :last] -= share * wanted[:, None, last]
    found = np.zeros_like(wanted)
    for index in range(N_TAPS):
        rest = wanted[:, index] - (products[:, index, :index] * found[:, :index]).sum(-1)
        found[:, index] = np.rint(rest / products[:, index, index])
    return found


def _error(sums: Doubles, taps: Doubles) -> float:
    """The squared error that taps leave, less what no taps leave."""
    weights = taps / TAP_UNIT
    return float(weights @ sums[:, :N_TAPS] @ weights - 2 * weights @ sums[:, N_TAPS])


def _bits(symbols: npt.ArrayLike, row: float) -> float:
    """About what symbols of a table row take."""
    table = bits_of_symbols()[int(row)]
    return float(table[np.minimum(np.abs(np.asarray(symbols)).astype(int), len(table) - 1)].sum())
