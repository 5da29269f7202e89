"""Optical flow: what moved is found, whatever the size, and an encode that begins with it decodes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch

from nvc.config import FLOWS, EncoderConfig
from nvc.encoder import Encoder
from nvc.errors import ConfigError
from nvc.flow import DIS, PYRAMID, SMALLEST_SIDE, DisFlow, PyramidFlow, flow_of
from nvc.flow.pyramid import COARSEST_SCALE, FINEST_SCALE, N_LEVELS, PyramidNetwork, moved
from nvc.flow.train import loss_of, report
from nvc.frame_coder import FrameCoder
from nvc.media.synthetic import natural_clip
from nvc.model_store import load_model
from nvc.models.warp import GRID
from nvc.motion_search import MotionSearch
from nvc.training.data import Batch

Plane = npt.NDArray[np.uint8]


def panned(x: int, y: int, width: int = 256, height: int = 192) -> tuple[Plane, Plane]:
    """A picture, and what a camera sees that has moved by (x, y): (i, j) of it was (i + x, j + y)."""
    margin = 32
    wide = natural_clip(width + 2 * margin, height + 2 * margin, 1, seed=4)[0].y
    return tuple(  # type: ignore[return-value]
        np.ascontiguousarray(wide[top : top + height, left : left + width])
        for left, top in ((margin, margin), (margin + x, margin + y))
    )


@pytest.mark.parametrize("name", FLOWS)
@pytest.mark.parametrize("motion", [(0, 0), (3, -2), (-9, 6)])
def test_a_pan_is_found(name: str, motion: tuple[int, int]) -> None:
    before, current = panned(*motion)
    flow = flow_of(name)(before, current)
    assert flow.shape == (192 // GRID, 256 // GRID, 2)
    assert flow.dtype == np.float32
    inside = flow[4:-4, 4:-4]
    assert np.median(np.abs(inside - motion)) < 0.5


@pytest.mark.parametrize("name", FLOWS)
@pytest.mark.parametrize("size", [(8, 8), (8, 128), (24, 64), (32, 32), (40, 72), (72, 40), (104, 136)])
def test_all_sizes(name: str, size: tuple[int, int]) -> None:
    w, h = size
    before, current = panned(2, 1, w, h)
    flow = flow_of(name)(before, current)
    assert flow.shape == (h // GRID, w // GRID, 2)
    assert np.isfinite(flow).all()
    if min(size) < SMALLEST_SIDE:
        assert not flow.any()


def test_names_are_those_of_the_settings() -> None:
    assert isinstance(flow_of(DIS), DisFlow)
    assert isinstance(flow_of(PYRAMID), PyramidFlow)
    with pytest.raises(ConfigError, match="one of dis, pyramid"):
        EncoderConfig(flow="none")


def test_a_new_network_says_that_nothing_moves_and_has_all_levels() -> None:
    network = PyramidNetwork()
    x = torch.rand(2, 72, 136) * 255
    flows = network(x, x.flip(0))
    assert len(flows) == N_LEVELS
    assert [flow.shape[2:] for flow in flows][-1] == (128 // FINEST_SCALE, 192 // FINEST_SCALE)
    assert flows[0].shape[2:] == (128 // COARSEST_SCALE, 192 // COARSEST_SCALE)
    assert not any(flow.any() for flow in flows)


def test_moving_takes_from_where_the_flow_points_and_the_edge_beyond_it() -> None:
    x = torch.arange(12.0).reshape(1, 1, 3, 4)
    flow = torch.zeros(1, 2, 3, 4)
    flow[:, 0] = 1
    assert torch.allclose(moved(x, flow)[0, 0], torch.tensor([[1.0, 2, 3, 3], [5, 6, 7, 7], [9, 10, 11, 11]]))
    flow[:] = 0
    flow[:, 1] = -0.5
    assert torch.allclose(moved(x, flow)[0, 0, :, 0], torch.tensor([0.0, 2, 6]))


def test_training_lowers_the_loss_from_the_teachers_flow() -> None:
    torch.manual_seed(0)
    before, current = panned(6, -4, 128, 128)
    y = np.stack([before, current])[None]
    chroma = np.full((1, 2, 64, 64), 128, np.uint8)
    batch = Batch.of_planes(y, chroma, chroma, MotionSearch())
    network = PyramidNetwork()
    optimiser = torch.optim.AdamW(network.parameters(), 1e-3)
    losses = []
    for _ in range(12):
        loss = loss_of(network, batch, 1.0)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert report(network, [batch]).startswith("luma off by")


def test_an_encode_that_begins_with_the_network_decodes() -> None:
    clip = natural_clip(96, 64, 5, seed=2)
    encoder = Encoder(EncoderConfig(model="tiny", flow=PYRAMID, qp=20), 96, 64)
    coded = [encoder.encode(frame) for frame in clip]
    decoder = FrameCoder(load_model("tiny"), 96, 64)
    for result in coded:
        for ours, theirs in zip(
            result.reconstruction.planes, decoder.decode(result.packet)[-1].planes, strict=True
        ):
            assert (ours == theirs).all()
