"""Quality maps: their bytes, their sources, and what they do to a picture."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from bitstream_spec import ColourRange, CorruptStream, FramePacket, FrameType, UnsupportedStream
from nvc.config import EncoderConfig
from nvc.encoder import Encoder
from nvc.entropy.rans import RansCoder
from nvc.entropy.tables import laplace_tables
from nvc.errors import MediaError
from nvc.frame_coder import FrameCoder
from nvc.frames import Frame
from nvc.media import VideoInfo, open_output
from nvc.media.synthetic import natural_clip
from nvc.metrics import plane_psnr_db
from nvc.model_store import Model
from nvc.models.quantiser import scale_table
from nvc.motion_search import FoundMotion
from nvc.quality_map import Offsets, build_map, clip_qps, parse_map
from nvc.roi import TEXTURE_INERTIA, TEXTURE_TILE, QualityMapper, Tiles, texture_offsets

CODER = RansCoder(laplace_tables(scale_table()))
SHAPES = st.tuples(st.integers(1, 9), st.integers(1, 9))
MAPS = SHAPES.flatmap(lambda shape: arrays.arrays(np.int16, (2, *shape), elements=st.integers(-63, 63)))


def ellipse(rows: int, columns: int, strength: int) -> Offsets:
    y, x = np.mgrid[:rows, :columns]
    inside = ((y + 0.5) / rows - 0.5) ** 2 + ((x + 0.5) / columns - 0.5) ** 2 < 0.1
    return np.where(inside, -strength, strength).astype(np.int16)


@settings(max_examples=60, deadline=None)
@given(MAPS)
def test_any_map_comes_back(maps: Offsets) -> None:
    before, offsets = maps
    np.testing.assert_array_equal(parse_map(build_map(offsets, before, CODER), before, CODER), offsets)


def test_maps_are_small() -> None:
    """A binary ellipse on the grid of a 416x240 picture, and the end of it."""
    nothing = np.zeros((15, 26), np.int16)
    payload = build_map(ellipse(15, 26, 8), nothing, CODER)
    assert len(payload) < 70
    assert build_map(nothing, ellipse(15, 26, 8), CODER) == b"\x00"
    one_more = ellipse(15, 26, 8)
    one_more[7, 3] += 1
    assert len(build_map(one_more, ellipse(15, 26, 8), CODER)) < 20


def test_what_is_no_map_is_refused() -> None:
    nothing = np.zeros((4, 4), np.int16)
    np.testing.assert_array_equal(parse_map(b"", nothing + 3, CODER), nothing + 3)
    with pytest.raises(UnsupportedStream, match="reserved"):
        parse_map(b"\x41", nothing, CODER)
    with pytest.raises(CorruptStream, match="nothing asks for"):
        parse_map(b"\x00\x00", nothing, CODER)
    for payload in (b"\x05", b"\x05\x01"):
        with pytest.raises(CorruptStream, match="fewer symbols"):
            parse_map(payload, nothing, CODER)
    far = np.full((4, 4), 63, np.int16)
    from_zero = build_map(far, nothing, CODER)
    with pytest.raises(CorruptStream, match="beyond 63"):
        parse_map(bytes([from_zero[0] | 0x80]) + from_zero[1:], far, CODER)


def test_a_damaged_map_is_noticed_though_its_values_stay() -> None:
    nothing = np.zeros((15, 26), np.int16)
    payload = build_map(ellipse(15, 26, 8), nothing, CODER)
    n_same = 0
    for place in range(2, len(payload)):
        for bit in range(8):
            changed = payload[:place] + bytes((payload[place] ^ 1 << bit,)) + payload[place + 1 :]
            with pytest.raises(CorruptStream):
                parse_map(changed, nothing, CODER)
            try:
                n_same += torch.equal(symbols_of(changed, nothing.size), symbols_of(payload, nothing.size))
            except CorruptStream:
                continue
    assert n_same, "else the check is not needed"


def symbols_of(payload: bytes, n: int) -> torch.Tensor:
    return CODER.decoder(payload[2:]).pop(torch.full((n,), payload[0] & 63, dtype=torch.int32))


def test_qps_stay_in_range() -> None:
    offsets = np.array([[-63, -5, 0, 5, 63]], np.int16)
    np.testing.assert_array_equal(clip_qps(3, offsets), [[0, 0, 3, 8, 63]])
    np.testing.assert_array_equal(clip_qps(60, offsets), [[0, 55, 60, 63, 63]])


def code(model: Model, maps: list[Offsets | None]) -> tuple[list[FramePacket], list[Frame]]:
    coder = FrameCoder(model, 80, 48)
    motion = FoundMotion(np.full((6, 10, 2), 7.0, np.float32))
    packets, frames = [], []
    for index, frame in enumerate(natural_clip(80, 48, len(maps), seed=3)):
        kind = FrameType.P if index else FrameType.I
        coded = coder.encode(frame, kind, 30, (lambda: motion) if index else None, offsets=maps[index])
        packets.append(coded[0])
        frames.append(coded[1][-1])
    return packets, frames


def test_a_map_is_sent_when_it_changes_and_decodes_exactly(speaking_model: Model) -> None:
    mask, drift = ellipse(3, 5, 12), ellipse(3, 5, 6)
    packets, frames = code(speaking_model, [mask, mask, drift, None])
    assert [packet.quality_map is not None for packet in packets] == [True, False, True, True]
    decoder = FrameCoder(speaking_model, 80, 48)
    for index, packet in enumerate(packets):
        decoded = decoder.decode(packet)[-1]
        assert decoded.checksum() == frames[index].checksum()


def test_without_a_map_nothing_changes(speaking_model: Model) -> None:
    plain, frames = code(speaking_model, [None, None])
    flat, same = code(speaking_model, [np.zeros((3, 5), np.int16)] * 2)
    assert plain == flat
    assert [f.checksum() for f in frames] == [f.checksum() for f in same]


def test_a_map_moves_quality(untrained_weights: Path) -> None:
    clip = natural_clip(128, 96, 3, seed=9)
    coder = Encoder(EncoderConfig(model=str(untrained_weights), qp=36), 128, 96)
    left = np.zeros((6, 8), np.int16)
    left[:, :4], left[:, 4:] = -12, 12
    coded = [coder.encode(frame, left) for frame in clip]
    for frame, result in zip(clip, coded, strict=True):
        better = plane_psnr_db(frame.y[:, :56], result.reconstruction.y[:, :56])
        worse = plane_psnr_db(frame.y[:, 72:], result.reconstruction.y[:, 72:])
        assert better > worse + 3


def test_boxes_and_their_offsets() -> None:
    frame = natural_clip(70, 40, 1)[0]
    made = QualityMapper(EncoderConfig(roi=("0,0,32,16", "32,16,8,16,-20"), roi_strength=7)).next_map(frame)
    np.testing.assert_array_equal(made, [[-7, -7, 0, 0, 0], [0, 0, -10, 0, 0], [0, 0, 0, 0, 0]])


def test_maps_are_made_where_something_asks_for_them() -> None:
    asking = EncoderConfig(roi=("0,0,8,8",)), EncoderConfig(aq=1.0), EncoderConfig(importance="ms-ssim")
    assert all(config.has_quality_maps for config in asking)
    assert not EncoderConfig().has_quality_maps


def test_a_mask_moves_and_its_last_picture_stays(tmp_path: Path) -> None:
    path = tmp_path / "mask.mkv"
    grey = np.full((24, 40), 128, np.uint8)
    with open_output(path, VideoInfo(80, 48, Fraction(1, 25), Fraction(25))) as writer:
        for index in range(2):
            luma = np.full((48, 80), 16, np.uint8)
            luma[:, 16 * index : 16 * index + 16] = 235
            writer.write(Frame(luma, grey, grey, index, 1))
    mapper = QualityMapper(EncoderConfig(roi=(str(path),), roi_strength=9))
    maps = [mapper.next_map(frame) for frame in natural_clip(160, 96, 3)]
    wanted = [[-9] * 2 + [9] * 8, [9] * 2 + [-9] * 2 + [9] * 6, [9] * 2 + [-9] * 2 + [9] * 6]
    for made, row in zip(maps, wanted, strict=True):
        np.testing.assert_array_equal(made, [row] * 6)


def test_a_mask_that_is_not_there() -> None:
    with pytest.raises(MediaError, match="no such file"):
        QualityMapper(EncoderConfig(roi=("nowhere.png",))).next_map(natural_clip(16, 16, 1)[0])


def test_adaptive_quantisation_takes_from_texture_and_does_not_flicker() -> None:
    rng = np.random.default_rng(1)
    luma = np.full((64, 128), 100, np.uint8)
    luma[:, 64:] = rng.integers(0, 255, (64, 64))
    tiles = Tiles(TEXTURE_TILE, TEXTURE_INERTIA)
    offsets = tiles.settle(texture_offsets(luma, 1.0))
    assert offsets.shape == (4, 8)
    assert (offsets[:, :4] < 0).all()
    assert (offsets[:, 4:] > 0).all()
    assert abs(float(offsets.mean())) < 1
    luma[:, :64] += rng.integers(0, 2, (64, 64), np.uint8)
    np.testing.assert_array_equal(tiles.settle(texture_offsets(luma, 1.0)), offsets)
    tiles.forget()
    assert (tiles.settle(-offsets) == -offsets).all()


def test_full_range_masks_are_white_at_255(tmp_path: Path) -> None:
    path = tmp_path / "mask.mkv"
    info = VideoInfo(32, 16, Fraction(1, 25), Fraction(25))
    full = replace(info, colour=replace(info.colour, range=ColourRange.FULL))
    half = np.full((8, 16), 128, np.uint8)
    with open_output(path, full) as writer:
        writer.write(Frame(np.full((16, 32), 235, np.uint8), half, half))
    made = QualityMapper(EncoderConfig(roi=(str(path),), roi_strength=50)).next_map(
        natural_clip(32, 16, 1)[0]
    )
    assert made[0, 1] == -42  # 235 of 255
