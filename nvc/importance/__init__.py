"""The learned importance map: a small network gives the blocks that a metric looks at more of the bits.

It sees how busy each block is at five scales, which is what MS-SSIM compares, and was fitted to what bits
really buy there (nvc.importance.train). Only an encoder runs it: the stream holds the offsets it asks for.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from nvc.frames import Plane, block_means, edged
from nvc.models.transform import LUMA_BLOCK

Floats = npt.NDArray[np.float32]

N_SCALES = 5
N_FEATURES = 2 * N_SCALES
WIDTH = 16
CONTRAST_FLOOR = (0.03 * 255) ** 2  # C2 of SSIM: contrast below it goes unseen
QP_SCALE = 4.0  # of the network's output, so that its weights are of the order of 1
_PACKAGE = Path(__file__).resolve().parent


class ImportanceNetwork(nn.Sequential):
    """Features [..., N_FEATURES] of blocks to their qp offsets [..., 1] over QP_SCALE, but for a constant."""

    def __init__(self) -> None:
        super().__init__(
            nn.Linear(N_FEATURES, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 1)
        )


def offsets_of(network: ImportanceNetwork, features: Tensor) -> Tensor:
    """qp offsets [..., rows, columns], mean 0, of pictures [..., rows, columns, N_FEATURES]."""
    offsets = network(features)[..., 0] * QP_SCALE
    return offsets - offsets.mean((-2, -1), keepdim=True)


class Importance:
    """Maps pictures with the weights trained for one metric."""

    def __init__(self, metric: str) -> None:
        """metric: one of nvc.config.IMPORTANCE_METRICS."""
        self._network = ImportanceNetwork()
        self._network.load_state_dict(load_file(_PACKAGE / f"{metric}.safetensors"))

    def wanted_offsets(self, luma: Plane) -> Floats:
        """qp offsets of a picture's blocks, float32 [rows, columns], mean 0: negative is better."""
        with torch.inference_mode():
            return offsets_of(self._network, torch.from_numpy(block_features(luma))).numpy()


def block_features(luma: Plane) -> Floats:
    """What the network sees of a picture [height, width] uint8: float32 [rows, columns, N_FEATURES].

    For each scale, each half as large as the one before: the logarithm of the harmonic mean of the variances
    in the windows of SSIM, as an error costs the inverse of them; and that of the energy of detail.
    """
    rows, columns = (-(-size // LUMA_BLOCK) for size in luma.shape)
    pad = rows * LUMA_BLOCK - luma.shape[0], columns * LUMA_BLOCK - luma.shape[1]
    picture: Floats = edged(luma.astype(np.float32), 0, pad)
    features = []
    for scale in range(N_SCALES):
        block = LUMA_BLOCK >> scale
        if scale:
            size = columns * block, rows * block
            picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.float32)
        mean = _blur(picture)
        variance = np.maximum(_blur(picture * picture) - mean * mean, 0.0)
        detail = (picture - mean) ** 2
        features.append(-np.log2(block_means(1 / (2 * variance + CONTRAST_FLOOR), block)) - 7)
        features.append(np.log2(block_means(detail, block) + 4) - 5)
    return np.stack(features, -1) / 2


def _blur(picture: Floats) -> Floats:
    """Average with the window of SSIM."""
    return np.asarray(cv2.GaussianBlur(picture, (11, 11), 1.5, borderType=cv2.BORDER_REPLICATE), np.float32)
