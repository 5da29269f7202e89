"""The adaptive filter: taps come back, kinds of places are told apart, and what is fitted helps."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nvc.filter_search import fitted_offsets
from nvc.model_store import Model, load_model
from nvc.models.adaptive_filter import (
    N_KINDS,
    N_SETS,
    N_TAPS,
    ORDERS,
    SYMBOLS_PER_FRAME,
    TAP_MAX,
    AdaptiveFilter,
    classify,
    code_offsets,
)
from nvc.models.quantiser import DecoderPort, EncoderPort

few = settings(deadline=None, max_examples=25)
QP = torch.full((1, 1, 1), 30)
NOTHING = torch.zeros(N_SETS, N_TAPS)


@few
@given(st.integers(0, 2**32), st.integers(1, TAP_MAX), st.floats(0, 1))
def test_offsets_come_back(seed: int, size: int, share: float) -> None:
    coder = load_model("tiny").coder
    generator = torch.Generator().manual_seed(seed)
    before = torch.randint(-size, size + 1, (N_SETS, N_TAPS), generator=generator).float()
    changed = torch.rand(N_SETS, 1, generator=generator) < share
    own = torch.where(changed, before.flip(0), before)
    port = EncoderPort()
    coded = code_offsets(own, before, port)
    symbols = coder.decoder(coder.encode(port.groups))
    symbols.expect(SYMBOLS_PER_FRAME)
    assert torch.equal(coded, own)
    assert torch.equal(code_offsets(None, before, DecoderPort(symbols)), own)


def test_nothing_new_takes_one_symbol() -> None:
    port = EncoderPort()
    code_offsets(NOTHING, NOTHING, port)
    assert sum(len(symbols) for symbols, _ in port.groups) == 1


def stripes(down: int, right: int) -> Tensor:
    y, x = torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")
    return ((down * y + right * x) % 4 < 2).float()[None] * 100 - 50


@pytest.mark.parametrize(("down", "right", "direction"), [(1, 0, 2), (0, 1, 2), (1, 1, 1), (1, -1, 1)])
def test_directions_are_told_apart(down: int, right: int, direction: int) -> None:
    kinds, orders = classify(stripes(down, right))
    inner = kinds[:, 2:-2, 2:-2]
    assert (inner % 3 == direction).all()
    assert (inner // 3 == 3).all()
    if direction == 2:
        assert (orders[:, 2:-2, 2:-2] // 2 == down).all()
    assert (classify(torch.zeros(1, 32, 32))[0] == 0).all()


def test_a_turned_picture_is_filtered_like_the_picture() -> None:
    generator = torch.Generator().manual_seed(3)
    luma = torch.randint(-128, 128, (1, 48, 48), generator=generator).float()
    luma[:, :24] = luma[:, :24, :1]  # where a direction counts
    adaptive_filter = AdaptiveFilter()
    adaptive_filter.taps[:] = torch.randint(-60, 61, adaptive_filter.taps.shape, generator=generator).float()
    chroma = torch.zeros(1, 24, 24)

    def filtered(plane: Tensor) -> Tensor:
        return adaptive_filter((plane, chroma, chroma), QP, predicts=True)[0]

    # where both directions have as much, neither order is the right one for a turned picture
    untied = ~_has_ties(luma)
    for turn in (lambda p: p.transpose(1, 2), lambda p: p.flip(2), lambda p: p.flip(1)):
        assert torch.equal(turn(filtered(luma))[turn(untied)], filtered(turn(luma))[turn(untied)])
    assert untied.float().mean() > 0.5


def _has_ties(luma: Tensor) -> Tensor:
    orders = [classify(turned)[1] for turned in (luma, luma.transpose(1, 2), luma.flip(2))]
    is_tied = (orders[0] // 2 == orders[1].transpose(1, 2) // 2) | (orders[0] % 2 == orders[2].flip(2) % 2)
    return is_tied.repeat_interleave(2, 1).repeat_interleave(2, 2)


def test_orders_undo_themselves() -> None:
    for order in ORDERS:
        assert [order[order[k]] for k in range(N_TAPS)] == list(range(N_TAPS))


def test_what_is_fitted_brings_a_blurred_picture_back() -> None:
    generator = torch.Generator().manual_seed(4)
    noise = torch.randn(1, 64, 96, generator=generator) * 40
    original = (noise + noise.roll(1, 1)).clamp(-128, 127).round()
    blurred = (original * 0.6 + (original.roll(1, 2) + original.roll(-1, 2)) * 0.2).round()
    chroma = torch.zeros(1, 32, 48)
    adaptive_filter = AdaptiveFilter()
    decoded, target = (blurred, chroma, chroma), (original, chroma, chroma)
    offsets = fitted_offsets(adaptive_filter, decoded, target, 30, NOTHING, predicts=True)
    assert offsets[:N_KINDS].any()
    assert not offsets[N_KINDS:].any(), "nothing was to be gained in chroma"
    y, u, _ = adaptive_filter(decoded, QP, offsets, predicts=True)
    assert torch.equal(u, chroma)
    assert ((y - original) ** 2).mean() < 0.5 * ((blurred - original) ** 2).mean()
    # and what fits stays
    assert torch.equal(fitted_offsets(adaptive_filter, decoded, target, 30, offsets, predicts=True), offsets)


def test_a_frame_that_is_right_sends_nothing() -> None:
    planes = [np.random.default_rng(5).integers(-128, 128, (1, n, n)) for n in (64, 32, 32)]
    y, u, v = (torch.from_numpy(plane).float() for plane in planes)
    assert not fitted_offsets(AdaptiveFilter(), (y, u, v), (y, u, v), 0, NOTHING, predicts=False).any()


def test_weights_bring_taps(speaking_model: Model) -> None:
    taps = speaking_model.codec.adaptive_filter.taps
    assert taps.shape == (2, 8, N_SETS, N_TAPS)
    with pytest.raises(ValueError, match="beyond 255"):
        AdaptiveFilter().set_exact(torch.full_like(taps, 256))
