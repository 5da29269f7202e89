"""Exact layers and blocks, each in one pass over the rows of its input.

What `layers.py` does in a dozen operations on whole tensors happens here row by row, in the processor's
nearest memory and on integers wherever the layer's own arithmetic is on integers.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from nvc.kernels.compile import inlined, kernel, plus, times
from nvc.kernels.products import TILE_ROWS, Integers, Weights, multiply, pack
from nvc.kernels.team import spread

Floats = npt.NDArray[np.float32]

# Adding and subtracting it rounds magnitudes below 2**22 to integers, half to even, by IEEE 754's own rule.
TO_INTEGER = np.float32(1.5 * 2**23)
_ZERO, _EIGHTH, _QUARTER, _HALF, _ONE = (np.float32(x) for x in (0.0, 0.125, 0.25, 0.5, 1.0))
SPAN = 64  # positions of a pointwise layer that are worked on at once


@dataclass(frozen=True)
class Packed:
    """An exact layer as kernels read it.

    weights: of a pointwise layer as `pack` makes them, of a depthwise one int16 [9, n]. affine: float32
    [2, n_out + 1] as in `ProductLayer.set_exact`.
    """

    weights: Integers
    affine: Floats


def pack_pointwise(weight: Weights, affine: Floats) -> Packed:
    """weight: [n_out, n_in]."""
    return Packed(pack(weight), affine)


def pack_depthwise(weight: Weights, affine: Floats) -> Packed:
    """weight: [n, 1, 3, 3]."""
    return Packed(np.ascontiguousarray(weight.reshape(-1, 9).T.astype(np.int16)), affine)


@inlined
def quantised(x, scale, limit):
    """round(x * scale) clamped to +-limit, an integer; in which order does not matter."""
    y = x * scale
    y = y if y > -limit else -limit
    y = y if y < limit else limit
    return np.int16((y + TO_INTEGER) - TO_INTEGER)


@inlined
def gate(x):
    y = x * _QUARTER + _HALF
    y = y if y > _ZERO else _ZERO
    return y if y < _ONE else _ONE


@inlined
def new_inputs(n_rows, n_in):
    """Room for quantised activations, in whole tiles and pairs."""
    return np.zeros(((n_rows + TILE_ROWS - 1) // TILE_ROWS * TILE_ROWS, n_in + n_in % 2), np.int16)


@inlined
def new_sums(n_rows, weights, n_in):
    """Room for the sums of `multiply` with these weights."""
    n_out = weights.shape[0] * (weights.shape[1] // (n_in + n_in % 2))
    return np.empty(((n_rows + TILE_ROWS - 1) // TILE_ROWS * TILE_ROWS, n_out), np.int32)


@kernel
def _pointwise(x, weights, affine, out, first, last):
    n_in, n_out = x.shape[1], out.shape[1]
    inputs, sums = new_inputs(SPAN, n_in), new_sums(SPAN, weights, n_in)
    scale, limit = affine[0, n_out], affine[1, n_out]
    for start in range(first, last, SPAN):
        n = min(SPAN, last - start)
        for i in range(n):
            for c in range(n_in):
                inputs[i, c] = quantised(x[start + i, c], scale, limit)
        multiply(inputs, n, weights, sums)
        for i in range(n):
            for c in range(n_out):
                out[start + i, c] = np.float32(sums[i, c]) * affine[0, c] + affine[1, c]


def pointwise(x: Floats, layer: Packed) -> Floats:
    """[..., n_in] -> [..., n_out]."""
    n_in, n_out = x.shape[-1], layer.affine.shape[1] - 1
    flat = np.ascontiguousarray(x).reshape(-1, n_in)
    out = np.empty((len(flat), n_out), np.float32)
    run = partial(_pointwise, flat, layer.weights, layer.affine, out)
    spread(run, len(flat), flat.size * n_out)
    return out.reshape(*x.shape[:-1], n_out)


@kernel
def _block(
    x, enter, enter_affine, spread_, spread_affine, leave, leave_affine,
    widen, widen_affine, narrow, narrow_affine, out, first, last
):  # fmt: skip
    height, width, n = x.shape
    inputs, sums = new_inputs(width, n), new_sums(width, enter, n)
    wide_sums = new_sums(width, widen, n)
    entered = np.zeros((3, width + 2, n), np.int16)  # three rows, zeros around them
    middle = np.empty((width, n), np.float32)
    for row in range(first - 1, last + 1):
        line = entered[(row + 3) % 3]
        if 0 <= row < height:
            for i in range(width):
                for c in range(n):
                    inputs[i, c] = quantised(x[row, i, c], enter_affine[0, n], enter_affine[1, n])
            multiply(inputs, width, enter, sums)
            for i in range(width):
                for c in range(n):
                    y = np.float32(sums[i, c]) * enter_affine[0, c] + enter_affine[1, c]
                    y = y if y > _ZERO else y * _EIGHTH
                    line[i + 1, c] = quantised(y, spread_affine[0, n], spread_affine[1, n])
        else:
            line[:] = 0
        if row <= first:
            continue
        here = row - 1
        above, centre, below = entered[(row + 1) % 3], entered[(row + 2) % 3], line
        for i in range(width):
            for c in range(n):
                total = np.int32(0)
                for j in range(3):
                    total = plus(total, times(above[i + j, c], spread_[j, c]))
                    total = plus(total, times(centre[i + j, c], spread_[3 + j, c]))
                    total = plus(total, times(below[i + j, c], spread_[6 + j, c]))
                y = np.float32(total) * spread_affine[0, c] + spread_affine[1, c]
                inputs[i, c] = quantised(y, leave_affine[0, n], leave_affine[1, n])
        multiply(inputs, width, leave, sums)
        for i in range(width):
            for c in range(n):
                y = np.float32(sums[i, c]) * leave_affine[0, c] + leave_affine[1, c]
                y = x[here, i, c] + y
                middle[i, c] = y
                inputs[i, c] = quantised(y, widen_affine[0, 2 * n], widen_affine[1, 2 * n])
        multiply(inputs, width, widen, wide_sums)
        for i in range(width):
            for c in range(n):
                value = np.float32(wide_sums[i, c]) * widen_affine[0, c] + widen_affine[1, c]
                share = np.float32(wide_sums[i, n + c]) * widen_affine[0, n + c] + widen_affine[1, n + c]
                inputs[i, c] = quantised(value * gate(share), narrow_affine[0, n], narrow_affine[1, n])
        multiply(inputs, width, narrow, sums)
        for i in range(width):
            for c in range(n):
                y = np.float32(sums[i, c]) * narrow_affine[0, c] + narrow_affine[1, c]
                out[here, i, c] = middle[i, c] + y


@dataclass(frozen=True)
class PackedBlock:
    """The layers of a `layers.Block`."""

    enter: Packed
    spread: Packed
    leave: Packed
    widen: Packed
    narrow: Packed

    def arrays(self) -> list[npt.NDArray[np.generic]]:
        layers = (self.enter, self.spread, self.leave, self.widen, self.narrow)
        return [array for layer in layers for array in (layer.weights, layer.affine)]


def block(x: Floats, layers: PackedBlock) -> Floats:
    """[h, w, n] -> [h, w, n]."""
    h, w, n = x.shape
    x = np.ascontiguousarray(x)
    out = np.empty_like(x)
    arrays = layers.arrays()
    spread(lambda first, last: _block(x, *arrays, out, first, last), h, 5 * n * x.size)
    return out


@kernel
def _to_depth(plane, factor, scale, out, channel, first, last):
    for y in range(first, last):
        for x in range(out.shape[1]):
            for j in range(factor):
                for i in range(factor):
                    value = plane[y * factor + j, x * factor + i] * scale
                    out[y, x, channel + j * factor + i] = value


def to_depth(planes: list[tuple[Floats, int]], scale: float) -> Floats:
    """Planes [h * factor, w * factor], each with its factor, times scale, as channels of one [h, w, n]."""
    plane, factor = planes[0]
    n_channels = sum(factor * factor for _, factor in planes)
    out = np.empty((plane.shape[0] // factor, plane.shape[1] // factor, n_channels), np.float32)
    channel = 0
    for plane, factor in planes:
        _to_depth(np.ascontiguousarray(plane), factor, np.float32(scale), out, channel, 0, len(out))
        channel += factor * factor
    return out


@kernel
def _from_depth(depth, factor, scale, channel, out, first, last):
    for y in range(first, last):
        for x in range(depth.shape[1]):
            for j in range(factor):
                for i in range(factor):
                    value = depth[y, x, channel + j * factor + i] * scale
                    out[y * factor + j, x * factor + i] = value


def from_depth(depth: Floats, factors: tuple[int, ...], scale: float) -> list[Floats]:
    """Undo `to_depth`, times scale."""
    planes, channel = [], 0
    depth = np.ascontiguousarray(depth)
    for factor in factors:
        out = np.empty((depth.shape[0] * factor, depth.shape[1] * factor), np.float32)
        _from_depth(depth, factor, np.float32(scale), channel, out, 0, len(depth))
        planes.append(out)
        channel += factor * factor
    return planes
