"""What the encoder kept is what the decoder gets, for any size and any number of frames."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from bitstream_spec import CorruptStream, StreamHeader, Substream
from nvc.config import EncoderConfig
from nvc.decoder import Decoder
from nvc.encoder import EncodedFrame, Encoder
from nvc.entropy.tables import laplace_tables
from nvc.errors import ConfigError, DecodeError, ModelError
from nvc.frame_coder import FrameCoder
from nvc.frames import Frame
from nvc.media.synthetic import natural_clip
from nvc.metrics import psnr_yuv_db
from nvc.model_store import Model, load_model, write_model
from nvc.models.quantiser import scale_table
from nvc.rate.control import ConstantQp


def encode(clip: list[Frame], **settings: object) -> tuple[Encoder, list[EncodedFrame]]:
    config = EncoderConfig(**settings)  # type: ignore[arg-type]
    encoder = Encoder(config, clip[0].width, clip[0].height)
    return encoder, [encoder.encode(frame) for frame in clip]


def decode(encoder: Encoder, coded: list[EncodedFrame], coder: FrameCoder) -> list[Frame]:
    return [coder.decode(c.packet)[-1] for c in coded]


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (17, 31), (265, 265), (416, 240), (15, 130)])
@pytest.mark.parametrize("n_frames", [1, 2, 4])
def test_any_size_comes_back_bit_for_bit(
    speaking_weights: Path, size: tuple[int, int], n_frames: int
) -> None:
    width, height = size
    clip = natural_clip(width, height, n_frames, seed=1)
    encoder, coded = encode(clip, model=str(speaking_weights), qp=30)
    decoded = decode(encoder, coded, FrameCoder(load_model(str(speaking_weights)), width, height))
    for frame, kept in zip(decoded, coded, strict=True):
        for a, b in zip(frame.planes, kept.reconstruction.planes, strict=True):
            np.testing.assert_array_equal(a, b)
        assert frame.checksum() == kept.reconstruction.checksum()


@pytest.mark.parametrize("qp", [0, 17, 63])
def test_the_whole_range_of_qp_decodes(speaking_weights: Path, qp: int) -> None:
    clip = natural_clip(64, 48, 3, seed=2)
    encoder, coded = encode(clip, model=str(speaking_weights), qp=qp)
    decoded = decode(encoder, coded, FrameCoder(load_model(str(speaking_weights)), 64, 48))
    assert [f.checksum() for f in decoded] == [c.reconstruction.checksum() for c in coded]


def test_an_untrained_model_already_codes_video(untrained_weights: Path) -> None:
    """The classical start: a motion-compensated transform codec before any training."""
    clip = natural_clip(192, 128, 5, seed=4)
    _, coded = encode(clip, model=str(untrained_weights), qp=20)
    quality = [psnr_yuv_db(c.psnr_db) for c in coded]
    size = sum(len(part.payload) for c in coded for part in c.packet.substreams)
    assert min(quality) > 28
    assert size * 8 / (192 * 128 * 5) < 2.0
    assert not coded[1].is_keyframe


def test_more_quality_takes_more_bytes(untrained_weights: Path) -> None:
    clip = natural_clip(128, 96, 2, seed=5)
    sizes, quality = [], []
    for qp in (4, 24, 44, 63):
        _, coded = encode(clip, model=str(untrained_weights), qp=qp)
        sizes.append(sum(len(part.payload) for c in coded for part in c.packet.substreams))
        quality.append(np.mean([psnr_yuv_db(c.psnr_db) for c in coded]))
    assert sizes == sorted(sizes, reverse=True)
    assert quality == sorted(quality, reverse=True)


def test_keyframes_come_when_they_are_due(untrained_weights: Path) -> None:
    clip = natural_clip(64, 48, 7, seed=6)
    _, coded = encode(clip, model=str(untrained_weights), keyint=3)
    assert [c.is_keyframe for c in coded] == [True, False, False, True, False, False, True]
    _, coded = encode(clip, model=str(untrained_weights), keyint=-1)
    assert [c.is_keyframe for c in coded] == [True] + [False] * 6


def test_a_scene_cut_begins_a_gop(untrained_weights: Path) -> None:
    one, other = natural_clip(96, 64, 3, seed=7), natural_clip(96, 64, 3, seed=1234)
    dark = [Frame(f.y // 4, f.u, f.v, 3 + f.pts) for f in other]
    _, coded = encode([*one, *dark], model=str(untrained_weights))
    assert [c.is_keyframe for c in coded] == [True, False, False, True, False, False]
    _, coded = encode([*one, *dark], model=str(untrained_weights), scene_cut=False)
    assert sum(c.is_keyframe for c in coded) == 1


def header_for(encoder: Encoder, width: int, height: int) -> StreamHeader:
    return StreamHeader(
        model_id=encoder.model_id,
        model_name=encoder.model_name,
        width=width,
        height=height,
        time_base=Fraction(1, 25),
    )


@pytest.fixture
def installed(speaking_weights: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("nvc.model_store.WEIGHT_FOLDERS", (speaking_weights.parent,))
    return speaking_weights


def test_a_changed_payload_names_the_frame(installed: Path) -> None:
    encoder, coded = encode(natural_clip(48, 32, 2, seed=8), model=str(installed))
    decoder = Decoder(header_for(encoder, 48, 32))
    decoder.decode(coded[0].packet)
    packet = coded[1].packet
    payload = packet.layers[0].payload
    wrong = replace(packet, layers=(Substream(payload[:-1] + bytes((payload[-1] ^ 1,))),))
    with pytest.raises(DecodeError, match="frame 1 "):
        decoder.decode(wrong)


def test_a_p_frame_needs_a_keyframe(installed: Path) -> None:
    encoder, coded = encode(natural_clip(48, 32, 2, seed=8), model=str(installed))
    with pytest.raises(CorruptStream, match="keyframe"):
        Decoder(header_for(encoder, 48, 32)).decode(coded[1].packet)


def test_an_empty_layer_is_refused(installed: Path) -> None:
    encoder, coded = encode(natural_clip(48, 32, 1, seed=8), model=str(installed), qp=10)
    coder = FrameCoder(load_model(str(installed)), 48, 32)
    with pytest.raises(CorruptStream, match="fewer symbols"):
        coder.decode(replace(coded[0].packet, layers=(Substream(b""),)))


def test_unknown_weights_are_refused(installed: Path) -> None:
    encoder, _ = encode(natural_clip(16, 16, 1), model=str(installed))
    header = header_for(encoder, 16, 16)
    stranger = StreamHeader(
        model_id=b"\x01" * 8, model_name="s", width=16, height=16, time_base=header.time_base
    )
    with pytest.raises(ModelError, match="not installed"):
        Decoder(stranger)


def test_damaged_weights_are_refused(speaking_weights: Path, tmp_path: Path) -> None:
    data = speaking_weights.read_bytes()
    for name, damaged in (("cut", data[:-100]), ("junk", b"junk" * 100), ("empty", b"")):
        path = tmp_path / f"{name}.safetensors"
        path.write_bytes(damaged)
        with pytest.raises(ModelError):
            load_model(str(path))


def test_weights_with_other_tables_are_refused(speaking_model: Model, tmp_path: Path) -> None:
    path = write_model(speaking_model.codec, laplace_tables(scale_table()), {"data": "none"}, tmp_path)
    with pytest.raises(ModelError, match="64 entropy tables, where this version of nvc uses 320"):
        load_model(str(path))


@pytest.mark.parametrize(
    "settings",
    [
        {"qp": 64},
        {"qp": -1},
        {"keyint": 0},
        {"keyint": -2},
        {"preset": "x"},
        {"device": "x"},
        {"threads": -1},
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=str(next(iter(settings.values())))):
        EncoderConfig(**settings)  # type: ignore[arg-type]


def still(n_frames: int) -> list[Frame]:
    """One picture again and again, then another."""
    first, second = natural_clip(64, 48, 2, seed=5)
    return [replace(first, pts=i) for i in range(n_frames - 1)] + [replace(second, pts=n_frames - 1)]


def test_what_stands_still_is_repeated_for_next_to_nothing(speaking_weights: Path) -> None:
    clip = still(9)
    encoder, coded = encode(clip, model=str(speaking_weights), qp=30)
    sizes = [c.result.size_bytes for c in coded]
    assert sizes[1:8] == [3] * 7
    assert sizes[8] > 20
    decoded = decode(encoder, coded, FrameCoder(load_model(str(speaking_weights)), 64, 48))
    assert [f.checksum() for f in decoded] == [c.reconstruction.checksum() for c in coded]
    assert [f.pts for f in decoded] == list(range(9))


def test_a_finer_qp_is_not_refused_to_what_stands_still(speaking_weights: Path) -> None:
    """The keyframe is the coarsest here: a control that goes down gets its refinement."""

    class Falling(ConstantQp):
        def next_qp(self, place: int, duration: int) -> int:
            return 50 - 5 * place

    clip = still(5)
    encoder = Encoder(EncoderConfig(model=str(speaking_weights)), 64, 48, Falling(30))
    coded = [encoder.encode(frame) for frame in clip]
    assert all(c.packet.layers[0].payload for c in coded)


def test_a_small_change_that_matters_is_coded(speaking_weights: Path) -> None:
    clip = still(4)[:3]
    changed = clip[2].y.copy()
    changed[8:24, 8:24] = 255 - changed[8:24, 8:24]
    _, coded = encode([*clip[:2], replace(clip[2], y=changed)], model=str(speaking_weights), qp=30)
    assert [bool(c.packet.layers[0].payload) for c in coded] == [True, False, True]
