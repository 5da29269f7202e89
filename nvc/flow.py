"""Where the encoder's motion vectors come from: dense optical flow, pooled to the 1/8 grid."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from nvc.models.warp import GRID, VECTOR_UNIT

_PRESETS = {
    "fast": cv2.DISOPTICAL_FLOW_PRESET_FAST,
    "medium": cv2.DISOPTICAL_FLOW_PRESET_MEDIUM,
}
SMALLEST_SIDE = 32  # below it DIS has no pyramid to work on: no motion is searched


class FlowEstimator:
    """Dense inverse search (Kroeger et al., 2016) between two luma planes, in OpenCV's implementation."""

    def __init__(self, preset: str = "medium") -> None:
        cv: Any = cv2  # the stubs lack the class
        self._dis = cv.DISOpticalFlow_create(_PRESETS[preset])

    def __call__(
        self, reference: npt.NDArray[np.uint8], current: npt.NDArray[np.uint8]
    ) -> npt.NDArray[np.float32]:
        """Where each 8x8 block of `current` [h, w] lies in `reference`, sizes multiples of 8.

        Returns [h/8, w/8, 2] float32, x then y, in 1/16 luma pixel.
        """
        h, w = current.shape
        if min(h, w) < SMALLEST_SIDE:
            return np.zeros((h // GRID, w // GRID, 2), np.float32)
        flow = self._dis.calc(np.ascontiguousarray(current), np.ascontiguousarray(reference), None)
        pooled = cv2.resize(flow, (w // GRID, h // GRID), interpolation=cv2.INTER_AREA)
        return np.asarray(pooled * VECTOR_UNIT, np.float32)
