"""Latents of keyframes, moved to where the decoder makes most of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nvc import kernels
from nvc.config import EncoderConfig
from nvc.encoder import EncodedFrame, Encoder
from nvc.frame_coder import FrameCoder
from nvc.frames import Frame
from nvc.latent_search import MARGIN, TILE, LatentMover, LatentSearch, Recorder, spans
from nvc.media.synthetic import natural_clip
from nvc.model_store import Model, load_model
from nvc.models.codec import Codec
from nvc.models.exact import exact_arithmetic, float_parameters
from nvc.models.picture_coder import FINEST_STEP, QP_PER_DOUBLING, Picture
from nvc.models.quantiser import TrainingPort
from nvc.training.checkpoint import set_parameters

SIZE = 1, 64, 96


def picture_of(seed: int) -> Picture:
    (frame,) = natural_clip(SIZE[2], SIZE[1], 1, seed=seed)
    y, u, v = (torch.from_numpy(np.array(plane))[None].float() - 128 for plane in (frame.y, frame.u, frame.v))
    return y, u, v


def first_frame(frame: Frame, qp: int, preset: str, model: str, offsets: bool = False) -> EncodedFrame:
    encoder = Encoder(EncoderConfig(model=model, qp=qp, preset=preset), frame.y.shape[1], frame.y.shape[0])
    quality = None
    if offsets:
        quality = np.zeros((-(-frame.y.shape[0] // 16), -(-frame.y.shape[1] // 16)), np.int16)
        quality[:, ::3] = -9
    return encoder.encode(frame, quality)


@given(st.integers(1, 600))
def test_spans_cover_all_blocks_once(n_blocks: int) -> None:
    found = spans(n_blocks)
    assert [i for span in found for i in range(n_blocks)[span.own]] == list(range(n_blocks))
    for span in found:
        seen = range(n_blocks)[span.seen]
        assert list(seen[span.within]) == list(range(n_blocks)[span.own])
        assert len(seen[span.within]) <= TILE
        before, after = span.own.start - span.seen.start, span.seen.stop - span.own.stop
        assert before == min(MARGIN, span.own.start)
        assert after == min(MARGIN, n_blocks - span.own.stop)


@pytest.mark.parametrize("compiled", [True, False])
def test_the_recorder_knows_how_each_element_is_rounded(speaking_model: Model, compiled: bool) -> None:
    coder = speaking_model.codec.intra
    x, qp = picture_of(3), torch.full((1, 1, 1), 20)
    recorder = Recorder()
    with exact_arithmetic(), kernels.switched(compiled and kernels.INSTALLED):
        modes, u = coder.prepare(x, None, None, qp, None)
        *_, u_hat = coder(x, None, SIZE, qp, recorder)
        assert torch.equal(recorder.rounding(u).rounded(u), u_hat)


def test_steps_lead_to_less_error_and_fewer_bits() -> None:
    """More quality with steps than another qp makes of the same bytes without."""
    frame = natural_clip(96, 80, 1, seed=4)[0]
    curves = {
        preset: [
            (c.result.size_bytes, c.result.psnr_db)
            for c in (first_frame(frame, qp, preset, "s") for qp in (20, 26))
        ]
        for preset in ("fast", "medium")
    }
    (plain_bytes, plain_db), (coarse_bytes, coarse_db) = curves["fast"]
    moved_bytes, moved_db = curves["medium"][0]
    slope = (plain_db - coarse_db) / (np.log(plain_bytes) - np.log(coarse_bytes))
    expected_db = plain_db + slope * (np.log(moved_bytes) - np.log(plain_bytes))
    assert moved_db > expected_db + 0.1


@pytest.mark.parametrize("offsets", [False, True])
def test_moved_latents_decode_to_what_the_encoder_has(speaking_weights: Path, offsets: bool) -> None:
    frame = natural_clip(100, 70, 1, seed=5)[0]
    coded = first_frame(frame, 20, "medium", str(speaking_weights), offsets)
    plain = first_frame(frame, 20, "fast", str(speaking_weights), offsets)
    assert coded.packet.layers[0].payload != plain.packet.layers[0].payload
    (decoded,) = FrameCoder(load_model(str(speaking_weights)), 100, 70).decode(coded.packet)
    assert decoded.checksum() == coded.reconstruction.checksum()


def test_the_number_of_threads_changes_nothing(
    speaking_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nvc.latent_search.TILE", 2)
    x, qp = picture_of(6), torch.full((1, 1, 1), 12)
    found = []
    for n_threads in (1, 2):
        monkeypatch.setattr("nvc.kernels.n_threads", lambda n=n_threads: n)
        with exact_arithmetic():
            modes, u = speaking_model.codec.intra.prepare(x, None, None, qp, None)
            found.append(LatentSearch(speaking_model.codec, 2)(x, modes, u, qp))
    assert torch.equal(*found)


def test_a_latent_that_networks_leave_alone_stays(untrained_weights: Path) -> None:
    """Where decoding is the inverse of an orthonormal transform, no step is worth taking."""
    model = load_model(str(untrained_weights))
    x, qp = picture_of(7), torch.full((1, 1, 1), 30)
    with exact_arithmetic():
        modes, u = model.codec.intra.prepare(x, None, None, qp, None)
        moved = LatentSearch(model.codec, 1)(x, modes, u, qp)
    step = FINEST_STEP * 2 ** (30 / QP_PER_DOUBLING)
    assert (moved - u).square().mean().sqrt() < 1 / step  # a sample's own rounding


def test_training_moves_latents_of_a_batch_and_leaves_the_analysis_alone(speaking_model: Model) -> None:
    codec = Codec(speaking_model.codec.config)
    set_parameters(codec, float_parameters(speaking_model.codec))
    qp = torch.full((2, 1, 1), 12)
    y, u, v = (torch.cat([plane, plane.flip(2)]) for plane in picture_of(8))
    move = LatentMover(codec.intra, codec.adaptive_filter, 2)
    modes, plain = codec.intra.prepare((y, u, v), None, None, qp, None)
    moved = move((y, u, v), modes, plain, qp)
    assert not torch.equal(plain, moved)
    assert (moved - plain).abs().mean() < 1
    decoded = codec.code_intra((y, u, v), (2, *SIZE[1:]), qp, TrainingPort(), move=move).picture
    decoded[0].sum().backward()
    assert codec.intra.analysis_leave.bias.grad is None
    assert codec.intra.synthesis_leave.bias.grad is not None
