"""Rate control: controllers against a model of a video, and the encoder with real frames."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from nvc.config import EncoderConfig
from nvc.encoder import Encoder
from nvc.errors import ConfigError
from nvc.gop import clip_qp, qp_offset
from nvc.media.synthetic import natural_clip
from nvc.rate.control import ConstantQp, LeakyBucket, RateControl
from nvc.rate.planned import FrameResult
from nvc.rate.target import PassResult, VideoFacts, first_control, next_control

FACTS = VideoFacts(640, 360, Fraction(1, 25), Fraction(25))


class Video:
    """Frames whose sizes follow qp as those of real video do, with noise and a change of scene content.

    A frame's own qp halves its bits every 2.5, that of the video every `per_halving`.
    """

    def __init__(self, n_frames: int, keyint: int = 250, per_halving: float = 9.0, seed: int = 1) -> None:
        rng = np.random.default_rng(seed)
        self.places = [index % keyint for index in range(n_frames)]
        self.gop_frames = min(n_frames, keyint)
        busy = np.where(np.arange(n_frames) > n_frames // 2, 0.7, 0.0)
        self._log2_bits = 15.0 + busy + 0.2 * rng.standard_normal(n_frames)
        self._per_halving = per_halving

    def code(self, control: RateControl) -> Iterator[FrameResult]:
        steady = None
        for place, level in zip(self.places, self._log2_bits, strict=True):
            while True:
                qp = control.next_qp(place, 1)
                base = qp - qp_offset(place, self.gop_frames)
                past = base if steady is None else steady
                bits = level - past / self._per_halving - (qp - past) / 2.5
                if place == 0:
                    bits = level + 2.5 - base / 10
                result = FrameResult(place, qp, round(2**bits / 8) + 30, 45 - 0.3 * qp + 0.1 * (level - 15))
                if control.accept(qp, result.size_bytes, result.psnr_db):
                    break
            steady = base if steady is None else 0.8 * steady + 0.2 * base
            yield result


def bases(results: list[FrameResult]) -> np.ndarray:  # type: ignore[type-arg]
    """Of all frames whose qp is not the least there is, which says no more than that the base is low."""
    gop_frames = 1 + max(r.place for r in results)
    return np.array([r.qp - qp_offset(r.place, gop_frames) for r in results if r.qp])


def test_constant_qp_is_the_cascade() -> None:
    control = ConstantQp(32)
    assert [control.next_qp(place, 1) for place in range(6)] == [24, 36, 34, 36, 32, 36]
    assert ConstantQp(63).next_qp(1, 1) == 63


def test_once_in_a_while_a_p_frame_refreshes_if_enough_follow_it() -> None:
    def finest(gop_frames: int | None, n: int) -> list[int]:
        control = ConstantQp(32, gop_frames)
        return [place for place in range(1, n) if control.next_qp(place, 1) < 32]

    assert finest(None, 100) == finest(250, 100) == [16, 48, 80]
    assert finest(31, 31) == []
    assert finest(32, 32) == finest(33, 33) == finest(63, 63) == [16]
    assert ConstantQp(32).next_qp(16, 1) == 27


@pytest.mark.parametrize(("keyint", "qp"), [(-1, 27), (250, 27), (20, 32)])
def test_an_encoder_without_a_control_refreshes_as_files_are(keyint: int, qp: int) -> None:
    config = EncoderConfig(model="tiny", qp=32, keyint=keyint, scene_cut=False)
    encoder = Encoder(config, 32, 32)
    qps = [encoder.encode(frame).result.qp for frame in natural_clip(32, 32, 17, seed=1)]
    assert qps[16] == first_control(config, FACTS).next_qp(16, 1) == qp


def test_keyframes_alone_have_all_qps() -> None:
    """Nothing descends from them: a picture at any qp, and a video of I frames, too."""
    config = EncoderConfig(qp=60, keyint=1)
    assert first_control(config, FACTS).next_qp(0, 1) == 60
    assert first_control(EncoderConfig(qp=3), replace(FACTS, n_frames=1)).next_qp(0, 1) == 3
    assert first_control(EncoderConfig(qp=40), FACTS).next_qp(0, 1) == 32


@pytest.mark.parametrize("kbps", [60.0, 150.0, 400.0])
@pytest.mark.parametrize("keyint", [250, 25, -1])
@pytest.mark.parametrize("seed", [1, 2])
def test_one_pass_meets_the_bitrate(kbps: float, keyint: int, seed: int) -> None:
    video = Video(100, 1000 if keyint == -1 else keyint, seed=seed)
    control = first_control(EncoderConfig(bitrate_kbps=kbps, keyint=keyint), FACTS)
    results = list(video.code(control))
    spent_kbps = sum(8 * r.size_bytes for r in results) / 4 / 1000
    assert spent_kbps == pytest.approx(kbps, rel=0.05)
    assert np.abs(np.diff(bases(results)[8:])).max() <= 3


@pytest.mark.parametrize("kbps", [60.0, 400.0])
@pytest.mark.parametrize("per_halving", [6.0, 9.0])
def test_two_passes_meet_it_better_and_hold_qp(kbps: float, per_halving: float) -> None:
    video = Video(100, per_halving=per_halving)
    config = EncoderConfig(bitrate_kbps=kbps, passes=2)
    before = PassResult(list(video.code(first_control(config, FACTS))), 4.0, 150, 0)
    results = list(video.code(next_control(config, FACTS, before)))
    total = sum(r.size_bytes for r in results) + 150
    assert total * 8 / 4000 == pytest.approx(kbps, rel=0.02)
    assert np.ptp(bases(results)) <= 5


def test_a_size_counts_sound_and_headers() -> None:
    video = Video(100)
    config = EncoderConfig(size_bytes=60_000)
    before = PassResult(list(video.code(first_control(config, FACTS))), 4.0, 200, 9_000)
    results = list(video.code(next_control(config, FACTS, before)))
    assert sum(r.size_bytes for r in results) + 9_200 == pytest.approx(60_000, rel=0.02)


@pytest.mark.parametrize("n_frames", [10, 30])
def test_a_short_video_pays_its_keyframe_back_in_time(n_frames: int) -> None:
    facts = VideoFacts(640, 360, Fraction(1, 25), Fraction(25), n_frames=n_frames)
    results = list(Video(n_frames).code(first_control(EncoderConfig(bitrate_kbps=150.0), facts)))
    assert sum(8 * r.size_bytes for r in results) / n_frames * 25 / 1000 == pytest.approx(150, rel=0.1)


@pytest.mark.parametrize("passes", [1, 2])
def test_psnr_is_met_on_the_mean(passes: int) -> None:
    video = Video(100)
    config = EncoderConfig(psnr_db=36.0, passes=passes)
    results = list(video.code(first_control(config, FACTS)))
    if passes == 2:
        results = list(video.code(next_control(config, FACTS, PassResult(results, 4.0, 0, 0))))
    assert np.mean([r.psnr_db for r in results]) == pytest.approx(36.0, abs=0.1)


def test_a_bucket_never_runs_dry() -> None:
    video = Video(100, keyint=25)
    config = EncoderConfig(bitrate_kbps=200.0, maxrate_kbps=220.0, bufsize_kbits=60.0, keyint=25)
    results = list(video.code(first_control(config, FACTS)))
    fullness = 60_000 * LeakyBucket.START_FULLNESS
    for result in results:
        assert 8 * result.size_bytes <= fullness
        fullness = min(60_000, fullness - 8 * result.size_bytes + 220_000 / 25)
    free = list(video.code(first_control(EncoderConfig(bitrate_kbps=200.0, keyint=25), FACTS)))
    assert max(r.size_bytes for r in free) * 8 > 60_000  # without the bucket keyframes are larger


def test_a_target_out_of_reach_is_no_error() -> None:
    for kbps in (0.5, 1e6):
        control = first_control(EncoderConfig(bitrate_kbps=kbps), FACTS)
        qps = [r.qp for r in Video(30).code(control)]
        assert qps[-1] == (63 if kbps < 1 else clip_qp(-8))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"qp": 20, "bitrate_kbps": 100}, "qp and bitrate are targets of one encode"),
        ({"psnr_db": 30, "size_bytes": 100}, "size and psnr are targets"),
        ({"bitrate_kbps": 0}, "bitrate_kbps 0 is not positive"),
        ({"bufsize_kbits": 10}, "needs maxrate"),
        ({"passes": 4, "bitrate_kbps": 100}, "outside 1..3"),
        ({"passes": 2}, "several passes need"),
        ({"passes": 1, "size_bytes": 100}, "a size needs 2 passes"),
        ({"aq": -1.0}, "aq -1.0 is outside"),
        ({"roi_strength": 64}, "roi_strength 64 is outside"),
        ({"importance": "psnr"}, "importance 'psnr' is not one of ms-ssim"),
    ],
)
def test_settings_that_make_no_sense(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        EncoderConfig(**settings)  # type: ignore[arg-type]


def test_an_encoder_meets_a_bitrate(untrained_weights: Path) -> None:
    """Real frames; those that are coded twice leave no trace."""
    clip = natural_clip(64, 48, 45, seed=5)
    config = EncoderConfig(model=str(untrained_weights), bitrate_kbps=20.0, threads=1)
    facts = VideoFacts(64, 48, Fraction(1, 15), Fraction(15))
    encoder = Encoder(config, 64, 48, first_control(config, facts))
    coded = [encoder.encode(frame) for frame in clip]
    assert sum(c.result.size_bytes for c in coded) * 8 / 3000 == pytest.approx(20, rel=0.08)
    with pytest.raises(ConfigError, match="needs a rate control"):
        Encoder(config, 64, 48)
