"""Products of integer matrices: 16-bit activations, 8-bit weights, 32-bit sums.

Sums of integers are exact in any order as long as they fit, and every layer keeps them below 2**24. The
inner loop multiplies pairs of neighbouring inputs and adds them to 16 (or 8) sums at once, the one operation
that processors offer for this (pmaddwd, vpdpwssd); it is written as LLVM code, since nothing else makes a
compiler keep a tile of sums in registers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.extending import intrinsic

from nvc.kernels.compile import inlined

Integers = npt.NDArray[np.int16]
Weights = npt.NDArray[np.int8]

# What numba compiles for: this machine, unless NUMBA_CPU_NAME and NUMBA_CPU_FEATURES say otherwise.
_FEATURES = cpu_target.target_context.codegen().magic_tuple()[2].split(",")
_IS_WIDE = "+avx512bw" in _FEATURES
LANES = 16 if _IS_WIDE else 8  # sums in one vector
VECTORS_MAX = 6 if _IS_WIDE else 3  # vectors of a tile's row: what registers hold with TILE_ROWS of them
TILE_ROWS = 4


def _pairwise(builder: Any, module: Any, a: Any, b: Any) -> Any:
    """a, b: 2 * LANES int16; returns a[2i] * b[2i] + a[2i + 1] * b[2i + 1] as LANES int32."""
    sums = ir.VectorType(ir.IntType(32), LANES)
    name = None
    if _IS_WIDE:
        name = "llvm.x86.avx512.pmaddw.d.512"
    elif "+avx2" in _FEATURES:
        name = "llvm.x86.avx2.pmadd.wd"
    if name:
        function = cgutils.get_or_insert_function(module, ir.FunctionType(sums, [a.type, a.type]), name)
        return builder.call(function, [a, b])
    halves = []
    for parity in (0, 1):
        places = [ir.Constant(ir.IntType(32), 2 * i + parity) for i in range(LANES)]
        pick = ir.Constant(ir.VectorType(ir.IntType(32), LANES), places)
        x, y = (builder.sext(builder.shuffle_vector(v, v, pick), sums) for v in (a, b))
        halves.append(builder.mul(x, y))
    return builder.add(*halves)


def _make_tile(n_vectors: int) -> Callable[..., None]:
    """A function for tiles of TILE_ROWS x (n_vectors * LANES) sums."""

    @intrinsic
    def tile(
        typing_context, inputs, input_at, input_stride, weights, weight_at, sums, sum_at, sum_stride, n_pairs
    ):
        signature = types.void(
            inputs, types.intp, types.intp, weights, types.intp, sums, types.intp, types.intp, types.intp
        )

        def generate(context, builder, signature, arguments):
            i32, i16 = ir.IntType(32), ir.IntType(16)
            wide, pairs = ir.VectorType(i32, LANES), ir.VectorType(i16, 2 * LANES)
            data = [
                context.make_array(kind)(context, builder, value).data
                for kind, value in zip(signature.args, arguments, strict=True)
                if isinstance(kind, types.Array)
            ]
            _, input_at, input_stride, _, weight_at, _, sum_at, sum_stride, n_pairs = arguments
            index = n_pairs.type
            rows = range(TILE_ROWS)

            def row_start(at, stride, row):
                return builder.add(at, builder.mul(stride, ir.Constant(index, row)))

            inputs = [builder.gep(data[0], [row_start(input_at, input_stride, row)]) for row in rows]
            weights = builder.gep(data[1], [weight_at])
            before = builder.block
            loop, after = builder.append_basic_block("pairs"), builder.append_basic_block("store")
            builder.branch(loop)
            builder.position_at_end(loop)
            step = builder.phi(index)
            totals = [[builder.phi(wide) for _ in range(n_vectors)] for _ in rows]
            at = builder.mul(step, ir.Constant(index, 2 * LANES * n_vectors))
            loaded = []
            for v in range(n_vectors):
                place = builder.gep(weights, [builder.add(at, ir.Constant(index, 2 * LANES * v))])
                loaded.append(builder.load(builder.bitcast(place, pairs.as_pointer()), align=2))
            for row in rows:
                place = builder.gep(inputs[row], [builder.mul(step, ir.Constant(index, 2))])
                pair = builder.load(builder.bitcast(place, i32.as_pointer()), align=2)
                splat = builder.insert_element(ir.Constant(wide, ir.Undefined), pair, ir.Constant(i32, 0))
                splat = builder.shuffle_vector(splat, splat, ir.Constant(wide, [ir.Constant(i32, 0)] * LANES))
                both = builder.bitcast(splat, pairs)
                for v in range(n_vectors):
                    product = _pairwise(builder, builder.module, both, loaded[v])
                    total = builder.add(totals[row][v], product)
                    totals[row][v].add_incoming(ir.Constant(wide, None), before)
                    totals[row][v].add_incoming(total, loop)
                    totals[row][v] = total
            following = builder.add(step, ir.Constant(index, 1))
            step.add_incoming(ir.Constant(index, 0), before)
            step.add_incoming(following, loop)
            builder.cbranch(builder.icmp_signed("<", following, n_pairs), loop, after)
            builder.position_at_end(after)
            for row in rows:
                start = row_start(sum_at, sum_stride, row)
                for v in range(n_vectors):
                    place = builder.gep(data[2], [builder.add(start, ir.Constant(index, LANES * v))])
                    builder.store(totals[row][v], builder.bitcast(place, wide.as_pointer()), align=4)
            return context.get_dummy_value()

        return signature, generate

    made: Callable[..., None] = tile
    return made


_tile_1, _tile_2, _tile_3 = _make_tile(1), _make_tile(2), _make_tile(3)
_tile_4, _tile_5, _tile_6 = _make_tile(4), _make_tile(5), _make_tile(6)


def padded_inputs(n_in: int) -> int:
    """The length of a row of activations: an even number."""
    return n_in + n_in % 2


def vectors_of(n_out: int) -> tuple[int, int]:
    """How outputs are divided: the number of panels, and of vectors in each."""
    n_vectors = math.ceil(n_out / LANES)
    n_panels = math.ceil(n_vectors / VECTORS_MAX)
    return n_panels, math.ceil(n_vectors / n_panels)


def pack(weight: Weights) -> Integers:
    """Weights [n_out, n_in] as [panel, pair of inputs, output, 2] int16, padded with zeros."""
    n_out, n_in = weight.shape
    n_panels, n_vectors = vectors_of(n_out)
    padded = np.zeros((n_panels * n_vectors * LANES, padded_inputs(n_in)), np.int16)
    padded[:n_out, :n_in] = weight
    panels = padded.reshape(n_panels, n_vectors * LANES, -1, 2)
    return np.ascontiguousarray(panels.transpose(0, 2, 1, 3)).reshape(n_panels, -1)


@inlined
def multiply(inputs, n_rows, weights, sums):
    """sums = inputs @ weights for the first n_rows rows, and for what follows up to a whole tile.

    inputs: int16 [rows, padded n_in]; weights: as `pack` made them; sums: int32 [rows, padded n_out]. Both
    have whole tiles of rows.
    """
    n_panels = weights.shape[0]
    n_pairs = inputs.shape[1] // 2
    panel_width = sums.shape[1] // n_panels
    n_vectors = panel_width // LANES
    flat_inputs, flat_weights, flat_sums = inputs.ravel(), weights.ravel(), sums.ravel()
    for panel in range(n_panels):
        w = panel * weights.shape[1]
        for row in range(0, n_rows, TILE_ROWS):
            i, s = row * inputs.shape[1], row * sums.shape[1] + panel * panel_width
            stride = inputs.shape[1]
            if n_vectors == 1:
                _tile_1(flat_inputs, i, stride, flat_weights, w, flat_sums, s, sums.shape[1], n_pairs)
            elif n_vectors == 2:
                _tile_2(flat_inputs, i, stride, flat_weights, w, flat_sums, s, sums.shape[1], n_pairs)
            elif n_vectors == 3:
                _tile_3(flat_inputs, i, stride, flat_weights, w, flat_sums, s, sums.shape[1], n_pairs)
            elif n_vectors == 4:
                _tile_4(flat_inputs, i, stride, flat_weights, w, flat_sums, s, sums.shape[1], n_pairs)
            elif n_vectors == 5:
                _tile_5(flat_inputs, i, stride, flat_weights, w, flat_sums, s, sums.shape[1], n_pairs)
            else:
                _tile_6(flat_inputs, i, stride, flat_weights, w, flat_sums, s, sums.shape[1], n_pairs)
