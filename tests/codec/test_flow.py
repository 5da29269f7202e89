"""Motion search: vectors that predict, also where the optical flow is lost."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from nvc.flow import FlowEstimator
from nvc.media.synthetic import natural_clip


class LostFlow:
    """In place of OpenCV's: right but for a third of the picture."""

    def __init__(self, motion: tuple[float, float]) -> None:
        self.motion = motion

    def calc(self, current: npt.NDArray[np.uint8], before: Any, _: None) -> npt.NDArray[np.float32]:
        flow = np.empty((*current.shape, 2), np.float32)
        flow[:] = self.motion
        flow[:, : current.shape[1] // 3] += 9
        return flow


def texture() -> npt.NDArray[np.uint8]:
    return natural_clip(160, 96, 1, seed=4)[0].y


@pytest.mark.parametrize("motion", [(0, 0), (3, -2)])
def test_search_finds_a_moved_picture(motion: tuple[int, int]) -> None:
    x, y = motion
    before = texture()
    current = np.roll(before, (-y, -x), (0, 1))  # what is at (i, j) was at (i + x, j + y)
    found = FlowEstimator().search(before, current)
    assert np.abs(np.median(found, axis=(0, 1)) - motion).max() < 0.25


@pytest.mark.parametrize("motion", [(0, 0), (5, -4)])
def test_blocks_whose_flow_is_lost_follow_the_others_or_stand_still(motion: tuple[int, int]) -> None:
    x, y = motion
    before = texture()
    current = np.roll(before, (-y, -x), (0, 1))
    estimator = FlowEstimator()
    estimator._dis = LostFlow(motion)
    found = estimator.search(before, current)
    assert np.abs(found[2:-2, 2:-2] - motion).max() < 1e-3


def test_right_vectors_are_kept() -> None:
    before = texture()
    current = before.copy()
    current[32:64, 64:112] = np.roll(before, (0, 6), (0, 1))[32:64, 64:112]
    estimator = FlowEstimator()
    flow = np.zeros((96, 160, 2), np.float32)
    flow[32:64, 64:112, 0] = -6
    estimator._dis = type("Right", (), {"calc": lambda self, *_: flow})()
    assert np.allclose(estimator.search(before, current)[4:8, 8:14], [-6, 0])
