"""Modes of blocks: splits lose nothing, blurs drop high frequencies, both are chosen where they pay."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
import torch
from torch import Tensor

from bitstream_spec import FramePacket, FrameType
from nvc import kernels
from nvc.frame_coder import FrameCoder
from nvc.frames import Frame
from nvc.media.synthetic import natural_clip
from nvc.model_store import load_model
from nvc.models.block_modes import BlockModes, Modes, mode_of_symbol, mode_symbol
from nvc.models.block_split import N_SPLITS, BlockSplit
from nvc.models.transform import PictureTransform, coefficient_frequencies
from nvc.motion_search import FoundMotion

WIDTH, HEIGHT = 160, 96
TRANSFORM = PictureTransform()
MODES = BlockModes(TRANSFORM.kept, coefficient_frequencies(), 8, predicts=True)


def coefficients_of(y: Tensor, uv: Tensor | None = None) -> Tensor:
    uv = torch.zeros(1, y.shape[1] // 2, y.shape[2] // 2) if uv is None else uv
    return TRANSFORM((y, uv, uv))


@pytest.mark.parametrize("is_exact", [False, True])
def test_splits_can_be_undone_and_keep_the_energy(is_exact: bool) -> None:
    generator = torch.Generator().manual_seed(3)
    y, uv = torch.randn(1, 64, 96, generator=generator), torch.randn(1, 32, 48, generator=generator)
    own = coefficients_of(y * 40, uv * 40)
    block_split = BlockSplit(TRANSFORM.kept)
    block_split.exact = is_exact
    split = torch.arange(own.shape[1] * own.shape[2]).reshape(1, *own.shape[1:3]) % N_SPLITS
    exchanged = block_split(own, split)
    assert torch.equal(exchanged[split == 0], own[split == 0])
    assert not torch.allclose(exchanged[split > 0], own[split > 0], atol=1.0)
    assert torch.allclose(exchanged.norm(dim=-1), own.norm(dim=-1), rtol=1e-3)
    assert torch.allclose(block_split.inverse(exchanged, split), own, atol=0.1)


@pytest.mark.parametrize(("split", "n_zero"), [(1, 3 * 64), (2, 15 * 16)])
def test_a_split_block_has_the_coefficients_of_its_smaller_blocks(split: int, n_zero: int) -> None:
    y = torch.zeros(1, 48, 48)
    y[0, 24:28, 20:24] = 50.0  # in one quarter of the block in the middle, away from its filtered border
    own = coefficients_of(y)
    exchanged = MODES.block_split(own, torch.full(own.shape[:3], split))
    is_small = exchanged[0, 1, 1, :256].abs() < 0.05
    assert int(is_small.sum()) >= n_zero
    assert int((own[0, 1, 1, :256].abs() < 0.05).sum()) < 128


def test_a_blurred_prediction_has_its_low_frequencies() -> None:
    predicted = torch.ones(1, 1, 3, 384)
    blurred = MODES.blurred(predicted, Modes(torch.zeros(1, 1, 3).long(), torch.arange(3).view(1, 1, 3)))
    n_left = blurred[0, 0].sum(-1).tolist()
    assert n_left[0] == 384
    assert n_left[0] > n_left[1] > n_left[2] >= 3
    assert blurred[0, 0, 2, [0, 256, 320]].tolist() == [1, 1, 1]  # the means of Y, U and V


def test_the_encoder_splits_what_is_small_and_nothing_else() -> None:
    x = torch.linspace(-1, 1, 48)
    smooth = coefficients_of(60 * torch.cos(2 * x)[None, :, None] * torch.cos(3 * x)[None, None])
    step = torch.tensor(8.0)
    assert not bool(MODES.choose(smooth, None, step).split.any())
    dot = torch.zeros(1, 48, 48)
    dot[0, 25:27, 25:27] = 100.0
    assert int(MODES.choose(coefficients_of(dot), None, step).split[0, 1, 1]) == 2
    assert not bool(MODES.choose(torch.zeros_like(smooth), None, step).split.any())


def test_the_encoder_blurs_a_prediction_whose_detail_is_wrong() -> None:
    generator = torch.Generator().manual_seed(7)
    grain = torch.randn(1, 48, 48, generator=generator) * 30
    step = torch.tensor(8.0)
    wrong = MODES.choose(coefficients_of(torch.full((1, 48, 48), 20.0)), coefficients_of(grain + 20), step)
    assert bool((wrong.blur > 0).all())
    right = MODES.choose(coefficients_of(grain + 24), coefficients_of(grain + 20), step)
    assert not bool(right.blur.any())


@pytest.mark.parametrize(("symbol", "mode"), [(0, 0), (1, 1), (-1, 2), (9, 1), (-32767, 2)])
def test_every_symbol_is_a_mode(symbol: int, mode: int) -> None:
    assert int(mode_of_symbol(torch.tensor(float(symbol)))) == mode
    if abs(symbol) < 2:
        assert int(mode_symbol(torch.tensor(mode))) == symbol


@lru_cache(maxsize=4)
def coded(name: str) -> tuple[list[tuple[FramePacket, Frame]], Modes]:
    """An I frame and a P frame with a dot and a prediction that nothing announced."""
    clip = natural_clip(WIDTH, HEIGHT, 2, seed=5)
    clip[0].y[32:64, 96:144] = np.random.default_rng(1).integers(40, 216, (32, 48), np.uint8)
    clip[1].y[40:44, 40:44] ^= 255
    clip[1].y[32:64, 96:144] = 128
    encoder = FrameCoder(load_model(name), WIDTH, HEIGHT)
    frames = []
    still = FoundMotion(np.zeros((HEIGHT // 8, WIDTH // 8, 2), np.float32))
    for frame, frame_type in zip(clip, (FrameType.I, FrameType.P), strict=True):
        packet, shown = encoder.encode(frame, frame_type, 14, lambda: still)
        frames.append((packet, shown[-1]))
    assert encoder.state is not None
    return frames, encoder.state.references[0].modes


@pytest.mark.parametrize(("name", "n_splits"), [("tiny", 2), ("s", 3)])
@pytest.mark.parametrize("has_kernels", [False, True])
def test_frames_with_modes_decode_to_the_encoders_reconstruction(
    name: str, n_splits: int, has_kernels: bool
) -> None:
    frames, modes = coded(name)
    assert modes.split.unique().numel() >= n_splits
    assert modes.blur.unique().numel() > 1
    decoder = FrameCoder(load_model(name), WIDTH, HEIGHT)
    with kernels.switched(has_kernels):
        for packet, reconstruction in frames:
            assert decoder.decode(packet)[-1].checksum() == reconstruction.checksum()
