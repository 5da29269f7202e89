"""Where the encoder's motion vectors come from: optical flow proposes, a block search disposes.

Dense flow between source frames says where things went. Each block then takes, of what the flow, its
neighbours, the frame before and standing still propose, and of what lies around the best of these, the vector
whose squared error against the decoded reference and whose bits together cost least.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from nvc import kernels
from nvc.models.picture_coder import FINEST_STEP, QP_PER_DOUBLING
from nvc.models.quantiser import BITS_PER_SQUARED_STEP
from nvc.models.warp import GRID, VECTOR_UNIT

Plane = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

# Blocks a side of the regions that move as wholes, in the order in which they are tried.
_PRESETS = {"fast": (4, 2, 1), "medium": (4, 2, 1, 2, 1), "slow": (8, 4, 2, 1, 4, 2, 1, 2, 1)}
SMALLEST_SIDE = 32  # below it DIS has no pyramid to work on: no motion is searched

# About what the entropy model takes for each component in which a vector differs from one beside it.
BITS_OF_DIFFERENCE, BITS_OF_DOUBLING, SHARE_OF_EACH_NEIGHBOUR = 2.6, 0.5, 0.8
DIFFERENCE_MAX = 256


class MotionSearch:
    """Dense inverse search (Kroeger et al., 2016; OpenCV's) between source frames, then a search by blocks in
    the picture that the decoder will move."""

    def __init__(self, preset: str = "medium") -> None:
        cv: Any = cv2  # the stubs lack the class
        self._sizes = np.array(_PRESETS[preset])
        self._dis = cv.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST)

    def propose(self, before: Plane, current: Plane) -> Floats:
        """Where each 8x8 block of source luma `current` [h, w] lies in `before`, sizes multiples of 8.

        Returns [h/8, w/8, 2] float32, x then y, in luma pixels.
        """
        h, w = current.shape
        if min(h, w) < SMALLEST_SIDE:
            return np.zeros((h // GRID, w // GRID, 2), np.float32)
        flow = self._dis.calc(np.ascontiguousarray(current), np.ascontiguousarray(before), None)
        return np.asarray(cv2.resize(flow, (w // GRID, h // GRID), interpolation=cv2.INTER_AREA), np.float32)

    def search(
        self, reference: Plane, current: Plane, proposed: Floats, previous: Floats, qp: float
    ) -> Floats:
        """The vectors to code `current` with, in the decoded luma `reference`.

        proposed: see `propose`. previous: those of the frame before, as they are returned here: [h/8, w/8, 2]
        float32, whole quarters of a luma pixel. qp: of the picture; bits weigh more the higher it is. Without
        numba there is no search, and blocks move with the flow.
        """
        if min(current.shape) < SMALLEST_SIDE:
            return np.zeros_like(proposed)
        flow = np.rint(proposed * VECTOR_UNIT)
        if not kernels.INSTALLED:
            return flow
        from nvc.kernels.search import ERROR_UNIT, REACH, search_blocks, shifted_planes

        median = np.broadcast_to(np.rint(np.median(flow.reshape(-1, 2), axis=0)), flow.shape)
        candidates = np.stack([flow, np.zeros_like(flow), previous, median]).astype(np.int32)
        step = FINEST_STEP * 2 ** (qp / QP_PER_DOUBLING)
        prices = step * step / BITS_PER_SQUARED_STEP / ERROR_UNIT * bits_of_differences()
        padded = np.pad(current, REACH, mode="edge")
        vectors = search_blocks(shifted_planes(reference), padded, candidates, prices, self._sizes)
        return vectors.astype(np.float32)


@lru_cache(maxsize=1)
def bits_of_differences() -> Floats:
    """What a component costs that differs by 0, 1, .. DIFFERENCE_MAX quarters from one neighbour's."""
    size = np.arange(DIFFERENCE_MAX + 1, dtype=np.float32)
    bits = BITS_OF_DIFFERENCE + BITS_OF_DOUBLING * np.log2(np.maximum(size, 1))
    return (SHARE_OF_EACH_NEIGHBOUR * np.where(size > 0, bits, 0)).astype(np.float32)
