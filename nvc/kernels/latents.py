"""The four parts of a latent, each on its own quarter of the elements.

A part's elements are, at a position, every fourth channel; which of the four depends on the position
(`latent_coder.parts_of`). So the products around them need a quarter of their weights there, and what the
spatial prior sees of earlier parts is added to integer sums that are kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from nvc.kernels.compile import inlined, kernel
from nvc.kernels.networks import TO_INTEGER, Floats, new_inputs, new_sums, quantised
from nvc.kernels.products import Integers, Weights, multiply, pack
from nvc.kernels.team import spread

_ZERO, _QUARTER, _FOUR = np.float32(0), np.float32(0.25), np.float32(4)
_ROW_MAX = np.float32(63)
N_PARTS = 4
# The part that channel 0 belongs to at each of 2x2 positions.
_PART_OF_FIRST = np.array([[0, 2], [3, 1]])


@dataclass(frozen=True)
class PackedParts:
    """A latent coder's layers, divided by which of every four channels is theirs.

    parameters: for each part, weights [4, ...] and affine [4, 2, n / 2 + 1], scales before means; enter:
    weights [4, ...] and the layer's own affine.
    """

    parameters: tuple[tuple[Integers, Floats], ...]
    enter: Integers
    enter_affine: Floats


def pack_parts(
    parameters: list[tuple[Weights, Floats]], enter: tuple[Weights, Floats], n_channels: int
) -> PackedParts:
    """Weights [n_out, n_in] and affine of each part's parameters, and of the layer into the spatial prior."""
    firsts = [np.arange(first, n_channels, N_PARTS) for first in range(N_PARTS)]
    own = [np.concatenate([channels, channels + n_channels]) for channels in firsts]
    divided = tuple(
        (
            np.stack([pack(weight[outputs]) for outputs in own]),
            np.stack([affine[:, [*outputs, -1]] for outputs in own]),
        )
        for weight, affine in parameters
    )
    weight, affine = enter
    return PackedParts(divided, np.stack([pack(weight[:, inputs]) for inputs in own]), affine)


@inlined
def _first_channel(part, y, x):
    return (part - _PART_OF_FIRST[y % 2, x % 2]) % N_PARTS


@kernel
def _part_parameters(features, weights, affine, first_scale, part, rows, means, first, last):
    _, width, n = features.shape
    n_own = rows.shape[2]
    half = (width + 1) // 2
    inputs, sums = new_inputs(half, n), new_sums(half, weights[0], n)
    step_y, step_x = min(first_scale.shape[0] - 1, 1), min(first_scale.shape[1] - 1, 1)
    for y in range(first, last):
        for odd in range(2):
            channel = _first_channel(part, y, odd)
            own = affine[channel]
            in_scale, in_limit = own[0, 2 * n_own], own[1, 2 * n_own]
            n_positions = (width - odd + 1) // 2
            for i in range(n_positions):
                for c in range(n):
                    inputs[i, c] = quantised(features[y, 2 * i + odd, c], in_scale, in_limit)
            multiply(inputs, n_positions, weights[channel], sums)
            for i in range(n_positions):
                x = 2 * i + odd
                base = first_scale[y * step_y, x * step_x]
                for j in range(n_own):
                    scale = np.float32(sums[i, j]) * own[0, j] + own[1, j]
                    scale = base[channel + N_PARTS * j] + scale
                    scale = scale if scale > _ZERO else _ZERO
                    scale = scale if scale < _ROW_MAX else _ROW_MAX
                    rows[y, x, j] = np.int32((scale + TO_INTEGER) - TO_INTEGER)
                    means[y, x, j] = np.float32(sums[i, n_own + j]) * own[0, n_own + j] + own[1, n_own + j]


@kernel
def _put_part(values, part, weights, affine, totals, features, u_hat, out, first, last):
    _, width, n = features.shape
    n_own = values.shape[2]
    half = (width + 1) // 2
    inputs, sums = new_inputs(half, 2 * n_own), new_sums(half, weights[0], 2 * n_own)
    for y in range(first, last):
        for odd in range(2):
            channel = _first_channel(part, y, odd)
            n_positions = (width - odd + 1) // 2
            for i in range(n_positions):
                for j in range(n_own):
                    u = values[y, 2 * i + odd, j] + _ZERO
                    u_hat[y, 2 * i + odd, channel + N_PARTS * j] = u
                    size = abs(u) if abs(u) < _FOUR else _FOUR
                    inputs[i, j] = quantised(u * _QUARTER, affine[0, n], affine[1, n])
                    inputs[i, n_own + j] = quantised(size, affine[0, n], affine[1, n])
            multiply(inputs, n_positions, weights[channel], sums)
            for i in range(n_positions):
                x = 2 * i + odd
                for c in range(n):
                    total = totals[y, x, c] + sums[i, c]
                    totals[y, x, c] = total
                    out[y, x, c] = features[y, x, c] + (np.float32(total) * affine[0, c] + affine[1, c])


@kernel
def _put_last(values, part, u_hat):
    for y in range(values.shape[0]):
        for x in range(values.shape[1]):
            channel = _first_channel(part, y, x)
            for j in range(values.shape[2]):
                u_hat[y, x, channel + N_PARTS * j] = values[y, x, j] + _ZERO


@kernel
def _own_elements(u, part, out):
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            channel = _first_channel(part, y, x)
            for j in range(out.shape[2]):
                out[y, x, j] = u[y, x, channel + N_PARTS * j]


class Parts:
    """A latent [h, w, n] while its parts are coded one after the other."""

    def __init__(self, packed: PackedParts, first_scale: Floats, h: int, w: int) -> None:
        """first_scale: [h, w, n], or 1 in place of h and of w."""
        self._packed = packed
        self._first_scale = np.ascontiguousarray(first_scale)
        n_hidden = packed.enter_affine.shape[1] - 1
        self.u_hat = np.empty((h, w, first_scale.shape[2]), np.float32)
        self._totals = np.zeros((h, w, n_hidden), np.int32)

    def parameters(self, part: int, features: Floats) -> tuple[npt.NDArray[np.int32], Floats]:
        """Table rows and means of a part's elements, in coding order, [h, w, n / 4] each."""
        h, w, n = self.u_hat.shape
        rows = np.empty((h, w, n // N_PARTS), np.int32)
        means = np.empty(rows.shape, np.float32)
        weights, affine = self._packed.parameters[part]
        run = partial(_part_parameters, features, weights, affine, self._first_scale, part, rows, means)
        spread(run, h, 2 * rows.size * features.shape[2])
        return rows, means

    def elements(self, part: int, u: Floats) -> Floats:
        """A part's elements of u [h, w, n], in coding order."""
        h, w, n = self.u_hat.shape
        out = np.empty((h, w, n // N_PARTS), np.float32)
        _own_elements(np.ascontiguousarray(u), part, out)
        return out

    def put(self, part: int, values: Floats, features: Floats) -> Floats:
        """Take a part's decoded values; returns the features that the next part's prior begins with."""
        if part == N_PARTS - 1:
            _put_last(values, part, self.u_hat)
            return features
        out = np.empty_like(features)
        enter, affine = self._packed.enter, self._packed.enter_affine
        run = partial(_put_part, values, part, enter, affine, self._totals, features, self.u_hat, out)
        spread(run, features.shape[0], 2 * values.size * features.shape[2])
        return out
