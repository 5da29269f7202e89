"""Where the encoder's motion vectors come from: dense optical flow, pooled to the 1/8 grid and refined there.

The flow says where things went; what a codec needs are the few vectors whose bilinear field predicts the
picture best. So pooled vectors are refined by Gauss-Newton steps on the squared error of the very field
that the decoder will use, with a smoothness that grows with the price of bits. Measured on 14 training
clips: the prediction gains 1.3 dB on average over the pooled flow, 0 to 5 dB by clip.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from nvc.frames import block_means
from nvc.models.warp import GRID, VECTOR_UNIT

Plane = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

# What DIS does, and how many refining steps follow.
_PRESETS = {
    "fast": (cv2.DISOPTICAL_FLOW_PRESET_FAST, 1),
    "medium": (cv2.DISOPTICAL_FLOW_PRESET_FAST, 4),
    "slow": (cv2.DISOPTICAL_FLOW_PRESET_FAST, 8),
}
SMALLEST_SIDE = 32  # below it DIS has no pyramid to work on: no motion is searched

# A block follows the field's median or stands still where the squared error in and around it is that share of
# the flow's, which at times is lost and stays so.
LOST_SHARE = 0.4

STIFFNESS_AT_QP_0 = 25.0  # squared error that a vector may save by leaving its neighbours' mean by a pixel
QP_PER_DOUBLING_OF_STIFFNESS = 6.0  # as the price of a bit in squared error
STIFFNESS_SHARE = 0.05  # the same as a share of the gradients' energy, so that texture does not tear
STEP_MAX = 2.0  # luma pixels in one Gauss-Newton step
# A vector's weight at the pixels before and behind its block's centre: the bilinear field's.
_RISE = np.arange(1, 2 * GRID, 2) / (2 * GRID)
_SLOPES = np.stack([_RISE, _RISE[::-1]]).astype(np.float32)


class FlowEstimator:
    """Dense inverse search (Kroeger et al., 2016; OpenCV's) between source frames, then refinement against
    the picture that the decoder will move."""

    def __init__(self, preset: str = "medium") -> None:
        cv: Any = cv2  # the stubs lack the class
        dis_preset, self._n_steps = _PRESETS[preset]
        self._dis = cv.DISOpticalFlow_create(dis_preset)

    def search(self, before: Plane, current: Plane) -> Floats:
        """Where each 8x8 block of source luma `current` [h, w] lies in `before`, sizes multiples of 8.

        Returns [h/8, w/8, 2] float32, x then y, in luma pixels.
        """
        h, w = current.shape
        if min(h, w) < SMALLEST_SIDE:
            return np.zeros((h // GRID, w // GRID, 2), np.float32)
        flow = self._dis.calc(np.ascontiguousarray(current), np.ascontiguousarray(before), None)
        vectors = cv2.resize(flow, (w // GRID, h // GRID), interpolation=cv2.INTER_AREA)
        return _recover(before, current, np.asarray(vectors, np.float32))

    def refine(self, reference: Plane, current: Plane, vectors: Floats, qp: float) -> Floats:
        """What `search` found, fitted to the decoded luma `reference`; smoother the higher qp is.

        Returns [h/8, w/8, 2] float32 in 1/16 luma pixel.
        """
        if min(current.shape) >= SMALLEST_SIDE:
            stiffness = STIFFNESS_AT_QP_0 * 2 ** (qp / QP_PER_DOUBLING_OF_STIFFNESS)
            vectors = _refine(reference, current, vectors, stiffness, self._n_steps)
        return np.asarray(vectors * VECTOR_UNIT, np.float32)


def _recover(before: Plane, current: Plane, vectors: Floats) -> Floats:
    """Replace vectors in pixels where a much simpler one predicts much better."""
    error = _block_errors(before, current, vectors)
    for simple in (np.zeros(2, np.float32), np.median(vectors.reshape(-1, 2), axis=0)):
        field = np.broadcast_to(simple, vectors.shape).astype(np.float32)
        its_error = _block_errors(before, current, field)
        is_better = its_error < LOST_SHARE * error
        vectors = np.where(is_better[..., None], field, vectors)
        error = np.where(is_better, its_error, error)
    return vectors


def _block_errors(before: Plane, current: Plane, vectors: Floats) -> Floats:
    """Mean squared error of blocks that move as a whole, each with its neighbours; [h/8, w/8]."""
    h, w = current.shape
    dense = cv2.resize(vectors, (w, h), interpolation=cv2.INTER_NEAREST)
    grid_x, grid_y = np.meshgrid(np.arange(w, dtype=np.float32), np.arange(h, dtype=np.float32))
    x, y = grid_x + dense[..., 0], grid_y + dense[..., 1]
    moved = cv2.remap(before.astype(np.float32), x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    errors = cv2.resize((current - moved) ** 2, (w // GRID, h // GRID), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.blur(errors, (3, 3), borderType=cv2.BORDER_REPLICATE), np.float32)


def squared_slopes(luma: Plane) -> Floats:
    """Mean squared slope of luma [h, w] in each 8x8 block, along x and along y; [h/8, w/8, 2] float32."""
    padded = np.pad(luma.astype(np.float32), 1, mode="edge")
    slopes = (padded[1:-1, 2:] - padded[1:-1, :-2]) / 2, (padded[2:, 1:-1] - padded[:-2, 1:-1]) / 2
    return np.stack([block_means(s * s, GRID) for s in slopes], -1)


def _refine(reference: Plane, current: Plane, vectors: Floats, stiffness: float, n_steps: int) -> Floats:
    """Gauss-Newton on vectors in pixels; a vector keeps its value where a step would raise its error."""
    h, w = current.shape
    grid_x, grid_y = np.meshgrid(np.arange(w, dtype=np.float32), np.arange(h, dtype=np.float32))
    source, target = reference.astype(np.float32), current.astype(np.float32)

    def predict(field: Floats) -> Floats:
        dense = cv2.resize(field, (w, h), interpolation=cv2.INTER_LINEAR)
        x, y = grid_x + dense[..., 0], grid_y + dense[..., 1]
        warped = cv2.remap(source, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(warped, np.float32)

    predicted = predict(vectors)
    error = target - predicted
    squared = _pool(error * error)
    for _ in range(n_steps):
        slope_x = np.asarray(cv2.Sobel(predicted, cv2.CV_32F, 1, 0, scale=1 / 8), np.float32)
        slope_y = np.asarray(cv2.Sobel(predicted, cv2.CV_32F, 0, 1, scale=1 / 8), np.float32)
        xx, xy, yy = _pool(slope_x * slope_x), _pool(slope_x * slope_y), _pool(slope_y * slope_y)
        hold = stiffness + STIFFNESS_SHARE * (xx + yy)
        pull = cv2.blur(vectors, (3, 3), borderType=cv2.BORDER_REPLICATE) - vectors
        right_x = _pool(slope_x * error) + hold * pull[..., 0]
        right_y = _pool(slope_y * error) + hold * pull[..., 1]
        xx, yy = xx + hold, yy + hold
        step = np.stack([yy * right_x - xy * right_y, xx * right_y - xy * right_x], -1)
        step /= (xx * yy - xy * xy)[..., None]
        length = np.sqrt((step * step).sum(-1, keepdims=True))
        moved = vectors + step * np.minimum(1, STEP_MAX / np.maximum(length, 1e-6))
        tried = predict(moved)
        tried_error = target - tried
        tried_squared = _pool(tried_error * tried_error)
        worse = tried_squared > squared + stiffness
        moved[worse] = vectors[worse]
        # Around a vector that stays, what is taken for the prediction is that of the field before.
        keeps = cv2.resize(worse.astype(np.uint8), (w, h), interpolation=cv2.INTER_NEAREST).astype(bool)
        predicted = np.where(keeps, predicted, tried)
        error = np.where(keeps, error, tried_error)
        squared = np.where(worse, squared, tried_squared)
        vectors = moved
    return vectors


def _pool(x: Floats) -> Floats:
    """Sums of [h, w] around each block's centre, weighted by the vector's share; [h/8, w/8]."""
    half = GRID // 2
    padded = cv2.copyMakeBorder(x, half, half, half, half, cv2.BORDER_REPLICATE)
    for _ in range(2):  # each axis in turn, as rows
        blocks = _SLOPES @ padded.reshape(-1, GRID, padded.shape[1])
        padded = np.ascontiguousarray((blocks[:-1, 0] + blocks[1:, 1]).T)
    return np.asarray(padded, np.float32)
