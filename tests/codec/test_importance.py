"""The learned importance map: its range, what it prefers, what it does to streams, and how it is trained."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

import nvc
from nvc.bench.ms_ssim import ms_ssim
from nvc.config import IMPORTANCE_METRICS, EncoderConfig
from nvc.frames import Frame
from nvc.importance import N_FEATURES, Importance, block_features, offsets_of
from nvc.importance.curves import QPS, measure_curves, ms_ssim_loss
from nvc.importance.train import HEIGHT, N_FRAMES, WIDTH, Measured, at_qp, fit, main, report
from nvc.media import VideoInfo, open_output
from nvc.media.demo import demo_clip
from nvc.media.synthetic import natural_clip
from nvc.model_store import Model, installed_models, load_model
from nvc.models.codec import Codec
from nvc.roi import QualityMapper
from nvc.training.data import cache_for


def noisy_frame(width: int = 192, height: int = 176) -> Frame:
    """Smooth on the left, noise on the right."""
    rng = np.random.default_rng(1)
    luma = np.tile(np.linspace(60, 120, height, dtype=np.uint8)[:, None], (1, width))
    luma[:, width // 2 :] = rng.integers(0, 255, (height, width - width // 2))
    grey = np.full((height // 2, width // 2), 128, np.uint8)
    return Frame(luma, grey, grey, 0, 1)


@pytest.mark.parametrize("size", [(1, 1), (16, 16), (17, 250), (176, 192)])
def test_features_and_maps_of_any_size(size: tuple[int, int]) -> None:
    luma = np.random.default_rng(2).integers(0, 255, size, np.uint8)
    rows, columns = (-(-side // 16) for side in size)
    features = block_features(luma)
    assert features.shape == (rows, columns, N_FEATURES)
    assert np.isfinite(features).all()
    for metric in IMPORTANCE_METRICS:
        offsets = Importance(metric).wanted_offsets(luma)
        assert offsets.shape == (rows, columns)
        assert offsets.dtype == np.float32
        assert abs(float(offsets.mean())) < 1e-3
        assert float(np.abs(offsets).max()) < 40


def test_smooth_blocks_are_better_and_maps_do_not_flicker() -> None:
    frame = noisy_frame()
    mapper = QualityMapper(EncoderConfig(importance="ms-ssim"))
    offsets = mapper.next_map(frame)
    assert offsets[:, :5].mean() < -1
    assert offsets[:, 7:].mean() > 1
    dithered = frame.y ^ np.random.default_rng(3).integers(0, 2, frame.y.shape, np.uint8)
    np.testing.assert_array_equal(mapper.next_map(Frame(dithered, frame.u, frame.v, 1, 1)), offsets)


def test_a_gop_begins_with_a_map_of_its_own() -> None:
    frame, other = noisy_frame(), natural_clip(192, 176, 1)[0]
    mapper = QualityMapper(EncoderConfig(importance="ms-ssim", aq=1.0))
    mapper.next_map(frame)
    fresh = QualityMapper(EncoderConfig(importance="ms-ssim", aq=1.0)).next_map(other)
    np.testing.assert_array_equal(mapper.next_map(other, begins_gop=True), fresh)


def test_it_adds_to_regions() -> None:
    frame = noisy_frame()
    alone = QualityMapper(EncoderConfig(importance="ms-ssim")).next_map(frame)
    both = QualityMapper(EncoderConfig(importance="ms-ssim", roi=("16,16,32,32",), roi_strength=9)).next_map(
        frame
    )
    wanted = np.zeros_like(alone)
    wanted[1:3, 1:3] = -9
    np.testing.assert_array_equal(both - alone, wanted)


def test_weights_are_no_codec_model() -> None:
    assert all(IMPORTANCE_METRICS[0] not in entry.name for entry in installed_models())


@pytest.fixture(scope="module")
def tiny() -> Model:
    if all(entry.name != "tiny" for entry in installed_models()):
        pytest.skip("the weights of the model 'tiny' are not installed")
    return load_model("tiny")


def test_streams_decode_and_verify(tiny: Model, tmp_path: Path) -> None:
    clip, stream = tmp_path / "clip.mp4", tmp_path / "clip.nvc"
    demo_clip(clip, n_frames=3)
    config = EncoderConfig("tiny", qp=36, threads=1, importance="ms-ssim")
    nvc.encode(clip, stream, config)
    assert nvc.verify(stream).is_good
    assert nvc.read_info(stream).substream_bytes["quality_map"] > 0


def test_loss_is_that_of_the_benchmark() -> None:
    original, other = (frame.y for frame in natural_clip(200, 180, 2))
    pair = [torch.from_numpy(plane.astype(np.float32))[None] for plane in (original, other)]
    assert float(ms_ssim_loss(*pair)) == pytest.approx(1 - ms_ssim(original, other), abs=2e-5)


def test_parts_of_blocks_add_up_to_the_loss(tiny: Model) -> None:
    frame = natural_clip(176, 176, 1)[0]
    curves = measure_curves(tiny, frame.y[None], frame.u[None], frame.v[None])
    assert curves.bits.shape == curves.loss.shape == (len(QPS), 11, 11)
    bits, loss = curves.bits.sum((1, 2)), curves.loss.sum((1, 2))
    assert (bits[1:] < bits[:-1]).all()
    assert (loss[1:] > loss[:-1]).all()
    assert not loss[0]


def test_curves_are_of_frames_whose_motion_is_coded(tiny: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = natural_clip(176, 176, 2, seed=5)
    decoded = []
    code_inter = Codec.code_inter

    def note(codec, x, vectors, *rest):  # type: ignore[no-untyped-def]
        decoded.append(vectors)
        return code_inter(codec, x, vectors, *rest)

    monkeypatch.setattr(Codec, "code_inter", note)
    y, u, v = (np.stack(planes) for planes in zip(*(frame.planes for frame in frames), strict=True))
    measure_curves(tiny, y, u, v)
    assert len(decoded) == len(QPS)
    assert any(vectors.any() for vectors in decoded)
    assert all(torch.equal(vectors, vectors.round()) for vectors in decoded)


def test_curves_pass_through_their_points() -> None:
    curves = torch.rand(2, len(QPS), 3, 4)
    for k, qp in enumerate(QPS):
        torch.testing.assert_close(at_qp(curves, torch.full((2, 3, 4), float(qp))), curves[:, k])
    line = torch.tensor(QPS).float()[None, :, None, None]
    qp = torch.tensor([-5.0, 13.0, 36.5, 70.0]).view(1, 2, 2)
    torch.testing.assert_close(at_qp(line.expand(1, -1, 2, 2), qp), qp)


def test_clips_of_a_cache_are_measured_and_kept(
    tiny: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_output(
        tmp_path / "clip.mkv", VideoInfo(WIDTH, HEIGHT, Fraction(1, 25), Fraction(25))
    ) as writer:
        for frame in natural_clip(WIDTH, HEIGHT, N_FRAMES + 1):
            writer.write(frame)
    cache_for([tmp_path / "clip.mkv"], tmp_path / "cache")
    kept = tmp_path / "measured.npz"
    arguments = ["--cache", str(tmp_path / "cache"), "--measured", str(kept), "--model", tiny.entry.name]
    main([*arguments, "--steps", "2", "--out", str(tmp_path / "weights.safetensors")])
    assert "measured 1 clips" in capsys.readouterr().out
    with np.load(kept) as file:
        assert file["features"].shape == (1, 16, 20, N_FEATURES)
        assert file["bits"].shape == file["loss"].shape == (1, len(QPS), 16, 20)


def test_training_finds_the_blocks_that_matter(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every block costs the same bits, but busy ones hide nine tenths of their errors."""
    features = torch.zeros(6, 4, 4, N_FEATURES)
    features[:, :2] = 1.0
    doublings = torch.tensor(QPS)[None, :, None, None] / 12
    bits = (8 - doublings).expand(6, -1, 4, 4)
    loss = torch.where(features[:, None, ..., 0] > 0, 0.1, 1.0) * 4**doublings
    measured = Measured(features, bits, loss)
    network = fit(measured, 60)
    offsets = offsets_of(network, features).detach()
    assert (offsets[:, :2] > 2).all()
    assert (offsets[:, 2:] < -2).all()
    assert report(measured, network) > 0.02
    kept, out = tmp_path / "measured.npz", tmp_path / "weights.safetensors"
    np.savez(kept, **{name: x.numpy() for name, x in vars(measured).items()})
    main(["--cache", "none", "--measured", str(kept), "--steps", "3", "--out", str(out)])
    assert "fitted to 6 clips" in capsys.readouterr().out
    assert out.exists()
