from __future__ import annotations

import numpy as np
import pytest
import pytorch_msssim
import torch

from nvc.bench.ms_ssim import MIN_SIDE, ms_ssim
from nvc.frames import Plane
from nvc.media.synthetic import natural_clip


def noisy(plane: Plane, amount: int) -> Plane:
    noise = np.random.default_rng(amount).integers(-amount, amount + 1, plane.shape)
    return np.clip(plane.astype(int) + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(("width", "height"), [(192, 176), (163, 161), (201, 178)])
@pytest.mark.parametrize("amount", [3, 40])
def test_agrees_with_pytorch_msssim(width: int, height: int, amount: int) -> None:
    (frame,) = natural_clip(width, height, 1)
    a, b = frame.y, noisy(frame.y, amount)
    theirs = pytorch_msssim.ms_ssim(
        *(torch.from_numpy(np.asarray(x, np.float32))[None, None] for x in (a, b)), data_range=255
    )
    assert ms_ssim(a, b) == pytest.approx(float(theirs), abs=2e-6)
    assert ms_ssim(a, b) < 0.9999


def test_same_pictures_give_one() -> None:
    (frame,) = natural_clip(MIN_SIDE, MIN_SIDE, 1)
    assert ms_ssim(frame.y, frame.y) == pytest.approx(1, abs=1e-6)


def test_negative_of_a_picture_gives_nothing() -> None:
    (frame,) = natural_clip(192, 192, 1)
    assert ms_ssim(frame.y, 255 - frame.y) == 0
