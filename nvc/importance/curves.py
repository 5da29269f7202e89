"""What the importance map is fitted to: each block's bits and its part in the loss of MS-SSIM, over qp.

A clip is coded at a few qps. Of the loss's change from one to the next a block gets the inner product of its
change of error with the gradient, the mean of both ends: parts of all blocks add up to the
whole change, however far the windows of MS-SSIM reach.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import torch
import torch.nn.functional as F
from torch import Tensor

from nvc.importance import CONTRAST_FLOOR
from nvc.model_store import Model
from nvc.models.exact import exact_arithmetic
from nvc.models.picture_coder import Picture
from nvc.models.quantiser import Bank, EncoderPort, laplace_bits
from nvc.models.transform import LUMA_BLOCK
from nvc.motion_search import LastWord, MotionSearch
from nvc.training.data import Bytes

QPS = (10, 20, 30, 40, 50)
_SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_BRIGHTNESS_FLOOR = (0.01 * 255) ** 2
_WINDOW = torch.from_numpy(cv2.getGaussianKernel(11, 1.5, cv2.CV_32F)).view(1, 1, 11, 1)


@dataclass(frozen=True)
class Curves:
    """Of one clip, summed over its frames: [len(QPS), rows, columns] float32."""

    bits: Tensor
    loss: Tensor
    """1 - MS-SSIM, less what it is at the first qp."""


class BlockBitsPort(EncoderPort):
    """An encoder's port that also adds up the bits of each position of latents."""

    def __init__(self, n_positions: int) -> None:
        super().__init__()
        self.block_bits = torch.zeros(n_positions)

    def code_selected(self, u: Tensor | None, mean: Tensor, rows: Tensor, bank: Bank) -> Tensor:
        values = super().code_selected(u, mean, rows, bank)
        if bank not in (Bank.INTRA, Bank.INTER):
            return values
        bits = torch.where(rows > 0, laplace_bits((values - mean).round(), rows.float()), 0.0)
        self.block_bits += bits.reshape(len(self.block_bits), -1).sum(1)  # position by position in any part
        return values


def measure_curves(model: Model, y: Bytes, u: Bytes, v: Bytes) -> Curves:
    """Code a clip at QPS.

    y: uint8 [n, h, w], sides multiples of 16 and at least 176. u, v: at half size.
    """
    n, height, width = y.shape
    grid = height // LUMA_BLOCK, width // LUMA_BLOCK
    motion = MotionSearch()
    proposed = [motion.propose(y[i - 1], y[i]) for i in range(1, n)]
    planes = [torch.from_numpy(plane).float() - 128 for plane in (y, u, v)]
    bits, errors, gradients = [], [], []
    for qp_value in QPS:
        qp = torch.full((1, 1, 1), qp_value)
        bits.append(torch.zeros(grid))
        decoded = torch.zeros(n, height, width)
        for i in range(n):
            port = BlockBitsPort(grid[0] * grid[1])
            x: Picture = (planes[0][i, None], planes[1][i, None], planes[2][i, None])
            with torch.no_grad(), exact_arithmetic():
                if i == 0:
                    reference = model.codec.code_intra(x, (1, height, width), qp, port)
                else:
                    before = (reference.picture[0][0] + 128).to(torch.uint8).numpy()
                    last = reference.vectors[0].numpy()
                    decide = LastWord([motion.search(before, y[i], proposed[i - 1], last, qp_value)])
                    vectors = model.codec.code_vectors(decide.vectors, reference, qp, port, decide)
                    reference = model.codec.code_inter(x, vectors, reference, qp, port)
            bits[-1] += port.block_bits.view(grid)
            decoded[i] = reference.shown[0][0]
        errors.append(decoded - planes[0])
        gradients.append(_gradient(planes[0], decoded))
    loss = [torch.zeros(grid)]
    for k in range(1, len(QPS)):
        change = (errors[k] - errors[k - 1]) * (gradients[k] + gradients[k - 1]) / 2
        loss.append(loss[-1] + F.avg_pool2d(change.sum(0)[None], LUMA_BLOCK)[0] * LUMA_BLOCK**2)
    return Curves(torch.stack(bits), torch.stack(loss))


def _gradient(source: Tensor, decoded: Tensor) -> Tensor:
    """Of the frames' 1 - MS-SSIM by the decoded samples; all [n, h, w]."""
    decoded = decoded.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(ms_ssim_loss(source + 128, decoded + 128).sum(), decoded)
    return gradient


def ms_ssim_loss(original: Tensor, decoded: Tensor) -> Tensor:
    """1 - MS-SSIM of each of the frames [n, h, w], values 0..255, as nvc.bench.ms_ssim measures it; [n]."""
    a, b = original[:, None], decoded[:, None]
    logarithm = torch.zeros(len(a))
    for scale, weight in enumerate(_SCALE_WEIGHTS):
        if scale:
            a, b = F.avg_pool2d(a, 2), F.avg_pool2d(b, 2)
        mean_a, mean_b = _blur(a), _blur(b)
        variances = _blur(a * a) - mean_a**2 + _blur(b * b) - mean_b**2
        covariance = _blur(a * b) - mean_a * mean_b
        similarity = (2 * covariance + CONTRAST_FLOOR) / (variances + CONTRAST_FLOOR)
        if scale == len(_SCALE_WEIGHTS) - 1:
            floor = _BRIGHTNESS_FLOOR
            similarity = similarity * (2 * mean_a * mean_b + floor) / (mean_a**2 + mean_b**2 + floor)
        logarithm = logarithm + weight * similarity.mean((1, 2, 3)).clamp(min=1e-6).log()
    return 1 - logarithm.exp()


def _blur(x: Tensor) -> Tensor:
    return F.conv2d(F.conv2d(x, _WINDOW), _WINDOW.transpose(2, 3))
