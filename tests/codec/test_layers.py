"""Layers: each closes its own loop, and what is dropped or damaged never reaches those below."""

from __future__ import annotations

import random
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitstream_spec import CorruptStream, FramePacket, Layer, StreamHeader, Substream, UnsupportedStream
from nvc import kernels
from nvc.config import EncoderConfig
from nvc.decoder import Decoder
from nvc.encoder import EncodedFrame, Encoder
from nvc.errors import ConfigError, DecodeError
from nvc.frame_coder import FrameCoder
from nvc.media.synthetic import natural_clip
from nvc.metrics import psnr_yuv_db
from nvc.model_store import load_model

WIDTH, HEIGHT, N_LAYERS = 96, 64, 3


@lru_cache(maxsize=1)
def coded_clip() -> tuple[StreamHeader, list[EncodedFrame]]:
    """Two GOPs of four and two frames in three layers; the third and fourth frame are the second."""
    clip = natural_clip(WIDTH, HEIGHT, 6, seed=21)
    clip[2:4] = replace(clip[1], pts=2), replace(clip[1], pts=3)
    config = EncoderConfig(model="tiny", qp=14, layers=N_LAYERS, keyint=4, scene_cut=False, threads=1)
    encoder = Encoder(config, WIDTH, HEIGHT)
    header = StreamHeader(
        encoder.model_id, encoder.model_name, WIDTH, HEIGHT, Fraction(1, 25), layers=encoder.layers
    )
    return header, [encoder.encode(frame) for frame in clip]


@pytest.mark.parametrize("n_layers", [1, 2, 3])
def test_each_layer_decodes_to_what_the_encoder_has_of_it(n_layers: int) -> None:
    header, coded = coded_clip()
    decoder = Decoder(header, n_layers=n_layers)
    extracted = Decoder(header)
    for frame in coded:
        shown = decoder.decode_layers(frame.packet)
        assert [f.checksum() for f in shown] == [f.checksum() for f in frame.reconstructions[:n_layers]]
        again = extracted.decode(frame.packet.with_layers(n_layers))
        assert again.checksum() == frame.reconstructions[n_layers - 1].checksum()


def test_each_layer_is_better_than_those_below_and_a_repetition_is_empty_in_all() -> None:
    header, coded = coded_clip()
    assert [layer.qp_offset for layer in header.layers] == [40, 20, 0]
    for frame in coded:
        quality = [psnr_yuv_db(psnr) for psnr in frame.layer_psnr_db]
        assert quality == sorted(quality)
        assert quality[-1] > quality[0] + 3
    is_empty = [not any(layer.payload for layer in c.packet.layers) for c in coded]
    assert is_empty == [False, False, False, True, False, False]


def test_a_layer_costs_less_than_a_stream_of_its_own() -> None:
    _, coded = coded_clip()
    clip = natural_clip(WIDTH, HEIGHT, 6, seed=21)
    alone = Encoder(EncoderConfig(model="tiny", qp=14, keyint=4, scene_cut=False, threads=1), WIDTH, HEIGHT)
    single = alone.encode(clip[0])
    top, whole = coded[0].packet.layers[-1].payload, single.packet.layers[0].payload
    assert len(top) < 0.85 * len(whole)
    assert psnr_yuv_db(coded[0].psnr_db) > psnr_yuv_db(single.psnr_db) - 0.3


@settings(deadline=None, max_examples=12)
@given(st.lists(st.integers(1, N_LAYERS), min_size=6, max_size=6), st.randoms(use_true_random=False))
def test_any_layers_dropped_or_damaged(kept: list[int], chance: random.Random) -> None:
    """What decodes is right; a P frame has no more layers than the frame before it had."""
    header, coded = coded_clip()
    decoder = Decoder(header)
    before = 0
    for frame, n_kept in zip(coded, kept, strict=True):
        packet = frame.packet.with_layers(n_kept)
        if n_kept < N_LAYERS and chance.random() < 0.5:
            broken = Substream(frame.packet.layers[n_kept].payload[::-1], intact=False)
            packet = replace(packet, layers=(*packet.layers, broken))
        shown = decoder.decode_layers(packet)
        is_empty = not any(layer.payload for layer in frame.packet.layers)
        expected = n_kept if frame.is_keyframe else before if is_empty else min(n_kept, before)
        assert [f.checksum() for f in shown] == [f.checksum() for f in frame.reconstructions[:expected]]
        before = expected


def test_kernels_and_plain_operators_agree() -> None:
    header, coded = coded_clip()
    with kernels.switched(False):
        decoder = Decoder(header)
        assert [decoder.decode(c.packet).checksum() for c in coded[:2]] == [
            c.reconstruction.checksum() for c in coded[:2]
        ]


def test_an_upper_layer_without_a_payload_is_refused() -> None:
    header, coded = coded_clip()
    base, middle, _ = coded[0].packet.layers
    decoder = Decoder(header)
    with pytest.raises(CorruptStream, match="fewer symbols"):
        decoder.decode(replace(coded[0].packet, layers=(base, middle, Substream(b""))))
    with pytest.raises(CorruptStream, match="without a keyframe"):
        decoder.decode(coded[1].packet)


def test_a_changed_payload_names_the_layer() -> None:
    header, coded = coded_clip()
    packet: FramePacket = coded[0].packet
    base, middle, top = packet.layers
    changed = Substream(middle.payload[:-1] + bytes((middle.payload[-1] ^ 1,)))
    wrong = replace(packet, layers=(base, changed, top))
    with pytest.raises(DecodeError, match=r"frame 0 .* layer 1,"):
        Decoder(header).decode(wrong)


def test_layers_of_smaller_pictures_are_refused() -> None:
    with pytest.raises(UnsupportedStream, match="smaller pictures"):
        FrameCoder(load_model("tiny"), 32, 32, layers=(Layer(scale_log2=1), Layer()))


@pytest.mark.parametrize(
    ("settings_", "reason"),
    [
        ({"layers": 5}, "layers 5 is outside 1..4"),
        ({"layers": 2, "layer_qp": (50, 40, 30)}, "not one qp for each"),
        ({"layer_qp": (30, 30)}, "does not become finer"),
        ({"layer_qp": (64, 30)}, "not within 0..63"),
        ({"layer_qp": (40, 20), "qp": 20}, "qp and layer_qp are targets"),
    ],
)
def test_settings_that_cannot_be(settings_: dict[str, object], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        EncoderConfig(**settings_)  # type: ignore[arg-type]
