"""Where blocks come from, by optical flow between source frames: what a motion search begins with.

Only an encoder runs these, and no decoder depends on them. There are two: dense inverse search, OpenCV's, and
a network of our own that learned from it (nvc.flow.train).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file

from nvc.config import FLOWS
from nvc.flow.pyramid import PyramidNetwork
from nvc.frames import Plane
from nvc.models.warp import GRID

Floats = npt.NDArray[np.float32]

DIS, PYRAMID = FLOWS
SMALLEST_SIDE = 32  # below it DIS has no pyramid to work on, and nothing is said to have moved
WEIGHTS = Path(__file__).with_name("pyramid.safetensors")


class Flow(ABC):
    """Says where things went, see `__call__`."""

    def __call__(self, before: Plane, current: Plane) -> Floats:
        """Where each 8x8 block of source luma `current` [h, w] lies in `before`, sizes multiples of 8.

        Returns [h/8, w/8, 2] float32, x then y, in luma pixels; zeros for pictures under SMALLEST_SIDE.
        """
        h, w = current.shape
        if min(h, w) < SMALLEST_SIDE:
            return np.zeros((h // GRID, w // GRID, 2), np.float32)
        return self._blocks(before, current)

    @abstractmethod
    def _blocks(self, before: Plane, current: Plane) -> Floats: ...


def flow_of(name: str) -> Flow:
    """The flow of this name, one of nvc.config.FLOWS."""
    return PyramidFlow.installed() if name == PYRAMID else DisFlow()


class DisFlow(Flow):
    """Dense inverse search (Kroeger et al., 2016; OpenCV's)."""

    def __init__(self) -> None:
        cv: Any = cv2  # the stubs lack the class
        self._dis = cv.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST)

    def _blocks(self, before: Plane, current: Plane) -> Floats:
        h, w = current.shape
        flow = self._dis.calc(np.ascontiguousarray(current), np.ascontiguousarray(before), None)
        return np.asarray(cv2.resize(flow, (w // GRID, h // GRID), interpolation=cv2.INTER_AREA), np.float32)


class PyramidFlow(Flow):
    """The learned pyramid."""

    def __init__(self, network: PyramidNetwork) -> None:
        self._network = network.eval()

    @classmethod
    def installed(cls) -> PyramidFlow:
        """With the weights that came with nvc."""
        return cls(read_network(WEIGHTS))

    def _blocks(self, before: Plane, current: Plane) -> Floats:
        with torch.inference_mode():
            pictures = torch.from_numpy(np.stack([before, current])).float()
            blocks = self._network.blocks(pictures[:1], pictures[1:])
        return blocks[0].numpy()


def read_network(path: Path) -> PyramidNetwork:
    """The network whose weights are in this file."""
    network = PyramidNetwork()
    network.load_state_dict({name: x.float() for name, x in load_file(path).items()})
    return network
