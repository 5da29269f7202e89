from __future__ import annotations

import contextlib
import csv
import ctypes
import os
from pathlib import Path

import av
import pytest
from av.video.frame import PictureType
from bench_samples import ANCHORS, write_clip

from nvc.bench import select_anchors
from nvc.bench.clip import Clip, load_clip
from nvc.bench.ffmpeg_codec import FfmpegCodec, ffmpeg_codecs, without_sei
from nvc.bench.measure import measure
from nvc.errors import ConfigError

ALL = [codec for codecs in ffmpeg_codecs().values() for codec in codecs]


@pytest.mark.parametrize("codec", ALL, ids=lambda codec: codec.name)
def test_codes_and_decodes(codec: FfmpegCodec, clip: Clip, tmp_path: Path) -> None:
    qp = codec.qps[1]
    row = measure(clip, codec, qp, -1, tmp_path / "picture.webp")
    assert row.error == ""
    assert row.size_bytes == sum(frame.size_bytes or 0 for frame in row.frames)
    assert row.psnr_db is not None
    assert row.psnr_db > 25
    assert len(row.frames) == clip.n_frames
    assert (tmp_path / "picture.webp").stat().st_size > 100


@pytest.mark.parametrize("name", ["x264_medium", "x265_medium", "svtav1_p8", "vp9_c2_ld", "mpeg2_ld"])
@pytest.mark.parametrize(("width", "height"), [(101, 75), (100, 75), (101, 74)])
def test_odd_sizes(name: str, width: int, height: int, tmp_path: Path) -> None:
    path = write_clip(tmp_path / "odd.y4m", width=width, height=height, n_frames=2)
    (codec,) = select_anchors([name])
    row = measure(load_clip(path, None, tmp_path), codec, codec.qps[1], -1, tmp_path / "picture.webp")
    assert row.error == ""
    assert (row.width, row.height) == (width, height)
    assert min(frame.psnr_y_db for frame in row.frames) > 25


@pytest.mark.parametrize("codec", ALL, ids=lambda codec: codec.name)
def test_low_delay_gives_packets_in_display_order(codec: FfmpegCodec, clip: Clip) -> None:
    priority = os.sched_getscheduler(0)
    packets = codec._encode(clip, codec._options(codec.qps[2], -1))
    assert os.sched_getscheduler(0) == priority
    order = [pts for pts, _ in packets]
    assert sorted(order) == list(range(clip.n_frames))
    if codec.protocol == "ld":
        assert order == sorted(order)


@pytest.mark.parametrize("codec", ALL, ids=lambda codec: codec.name)
def test_settings_are_those_of_the_reference_rows(codec: FfmpegCodec) -> None:
    with ANCHORS.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["codec"] == codec.name]
    assert {codec.settings(int(row["qp"]), -1) for row in rows} == {row["settings"] for row in rows}
    if rows:
        assert codec.qps == tuple(sorted({int(row["qp"]) for row in rows if row["frames"] == "33"}))


@pytest.mark.parametrize(
    "name",
    ["x264_medium_ld", "x264_medium", "x265_medium_ld", "x265_medium", "svtav1_p8_ld", "svtav1_p8",
     "vp9_c2_ld", "mpeg2_ld"],
)  # fmt: skip
def test_keyint_is_what_the_decoder_finds(name: str, clip: Clip) -> None:
    (codec,) = select_anchors([name])
    for keyint, expected in ((-1, [0]), (3, [0, 3]), (1, [0, 1, 2, 3, 4])):
        packets = codec._encode(clip, codec._options(codec.qps[2], keyint))
        assert keyframes(codec.decoder, [data for _, data in packets]) == expected


def keyframes(decoder: str, packets: list[bytes]) -> list[int]:
    """Places of the intra pictures in display order."""
    codec = av.CodecContext.create(decoder, "r")
    assert isinstance(codec, av.VideoCodecContext)
    codec.thread_count = 1
    pictures = [p for data in packets for p in codec.decode(av.Packet(data))] + codec.decode(None)
    return [i for i, picture in enumerate(pictures) if picture.pict_type == PictureType.I]


def test_bytes_do_not_depend_on_what_memory_held(clip: Clip, tmp_path: Path) -> None:
    (codec,) = select_anchors(["x264_medium"])
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(-6, 170)  # glibc: new memory holds what x264 must not see
    try:
        dirty = codec.code(clip, 28, -1, tmp_path).size_bytes
    finally:
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).mallopt(-6, 0)
    assert dirty == codec.code(clip, 28, -1, tmp_path).size_bytes


def test_information_text_is_left_out() -> None:
    packet = b"\0\0\0\1\x67sps\0\0\0\1\x68pps\0\0\1\x06\x05text\0\0\1\x65slice"
    assert without_sei(packet) == b"\0\0\0\1\x67sps\0\0\0\1\x68pps\0\0\0\1\x65slice"


def test_family_stands_for_its_first_preset() -> None:
    assert [codec.name for codec in select_anchors(["x264"])] == ["x264_medium_ld", "x264_medium"]
    assert [codec.name for codec in select_anchors(["x264"], ["ld"])] == ["x264_medium_ld"]
    assert [codec.name for codec in select_anchors(["mpeg2", "x265_veryslow"])] == [
        "mpeg2_ld",
        "x265_veryslow",
    ]


def test_quality_settings_by_family_and_by_codec() -> None:
    codecs = select_anchors(["x264"], qps={"x264": (30, 40), "x264_medium": (25,)})
    assert {codec.name: codec.qps for codec in codecs} == {"x264_medium_ld": (30, 40), "x264_medium": (25,)}


def test_unknown_anchor() -> None:
    with pytest.raises(ConfigError, match="anchor 'h264' is unknown: expected x264,"):
        select_anchors(["h264"])
    with pytest.raises(ConfigError, match="'y' of the quality settings"):
        select_anchors(["x264"], qps={"y": (1,)})
