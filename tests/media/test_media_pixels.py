"""8-bit 4:2:0 passes untouched, all else is converted with a notice and tagged as what it then is."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bitstream_spec import Colour, ColourRange
from nvc.frames import Frame
from nvc.media import VideoInfo
from nvc.media.synthetic import natural_clip

LIMITED_RAMP = np.rint(16 + np.arange(64) * 4 * 219 / 255)
FULL_RAMP = np.arange(64) * 4

SIZES = [(1, 1), (2, 2), (17, 31), (16, 3), (400, 3), (1, 400), (63, 65), (352, 288)]


@pytest.mark.parametrize(("width", "height"), SIZES, ids=[f"{w}x{h}" for w, h in SIZES])
@pytest.mark.parametrize("name", ["x.y4m", "x.mkv", "x.mp4"])
def test_lossless_outputs_hold_any_size(write_frames, read, width, height, name):
    frames = natural_clip(width, height, 2)
    copy = read(write_frames(name, frames, lossless=name == "x.mp4"))
    assert copy.planes == [plane.tobytes() for frame in frames for plane in frame.planes]
    assert (copy.info.width, copy.info.height) == (width, height)
    assert copy.notices == []


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1), st.sampled_from(["x.y4m", "x.mkv"]))
def test_any_samples_pass_untouched(write_frames, read, width, height, seed, name):
    rng = np.random.default_rng(seed)
    chroma = (height + 1) // 2, (width + 1) // 2
    planes = [rng.integers(0, 256, shape, np.uint8) for shape in ((height, width), chroma, chroma)]
    copy = read(write_frames(name, [Frame(*planes)]))
    assert copy.planes == [plane.tobytes() for plane in planes]


@pytest.mark.parametrize("lossless", [False, True])
def test_h264_is_near_lossless_or_lossless(write_frames, read, lossless):
    frames = natural_clip(96, 64, 5)
    copy = read(write_frames("x.mp4", frames, lossless=lossless))
    error = max(np.abs(a.y.astype(int) - b.y).max() for a, b in zip(frames, copy.frames, strict=True))
    assert error == 0 if lossless else 0 < error < 16


@pytest.mark.parametrize(
    ("name", "pixel_format", "codec"),
    [
        ("x.png", "rgb24", "png"),
        ("x.png", "rgba", "png"),
        ("x.bmp", "bgr24", "bmp"),
        ("x.tif", "rgb24", "tiff"),
        ("x.mkv", "gbrp10le", "ffv1"),
        ("x.mkv", "bgr0", "ffv1"),
    ],
)
def test_rgb_becomes_limited_bt601(write_grey_ramp, read, name, pixel_format, codec):
    video = read(write_grey_ramp(name, pixel_format, codec))
    assert video.info.colour.matrix == 6
    assert video.info.colour.range == ColourRange.LIMITED
    assert np.abs(video.frames[0].y - LIMITED_RAMP).max() <= 1
    assert all(np.abs(plane.astype(int) - 128).max() <= 1 for plane in video.frames[0].planes[1:])
    assert video.notices[0].startswith(f"converted {pixel_format} to 8-bit 4:2:0")


@pytest.mark.parametrize("pixel_format", ["yuv420p10le", "yuv422p", "yuv444p", "yuv444p16le", "yuv422p10le"])
@pytest.mark.parametrize("full_range", [False, True])
def test_other_yuv_keeps_its_range(write_grey_ramp, read, pixel_format, full_range):
    video = read(write_grey_ramp("x.mkv", pixel_format, "ffv1", full_range))
    assert video.info.colour.range == (ColourRange.FULL if full_range else ColourRange.UNSPECIFIED)
    assert np.abs(video.frames[0].y - (FULL_RAMP if full_range else LIMITED_RAMP)).max() <= 1
    assert video.notices == [f"converted {pixel_format} to 8-bit 4:2:0"]


@pytest.mark.parametrize("pixel_format", ["gray", "gray10le"])
def test_grey_keeps_its_luma(write_grey_ramp, read, pixel_format):
    video = read(write_grey_ramp("x.mkv", pixel_format, "ffv1"))
    assert np.abs(video.frames[0].y - FULL_RAMP).max() <= 1
    assert set(np.unique(video.frames[0].u)) == {128}
    assert video.info.colour.range == ColourRange.FULL
    assert video.notices == [f"converted {pixel_format} to 8-bit 4:2:0 with neutral chroma"]


@pytest.mark.parametrize(
    ("pixel_format", "notices"), [("yuvj420p", []), ("yuvj444p", ["converted yuvj444p to 8-bit 4:2:0"])]
)
def test_jpeg_stays_full_range(write_grey_ramp, read, pixel_format, notices):
    video = read(write_grey_ramp("x.jpg", pixel_format, "mjpeg", full_range=True))
    assert video.info.is_still
    assert video.info.n_frames == 1
    assert video.info.colour.range == ColourRange.FULL
    assert np.abs(video.frames[0].y - FULL_RAMP).max() <= 3
    assert video.notices == notices


def test_alpha_is_left_out_with_a_notice(write_grey_ramp, read):
    assert read(write_grey_ramp("x.mkv", "yuva420p", "ffv1")).notices == ["left out the alpha plane"]


@pytest.mark.parametrize("name", ["x.png", "x.jpg"])
@pytest.mark.parametrize(
    "colour", [Colour(), Colour(1, 1, 1, ColourRange.LIMITED), Colour(5, 6, 5, ColourRange.FULL)]
)
def test_pictures_return_as_they_were(write_frames, read, name, colour):
    (frame,) = natural_clip(51, 33, 1)
    smooth = Frame(*(plane // 4 + 96 for plane in frame.planes))
    copy = read(write_frames(name, [smooth], VideoInfo(51, 33, Fraction(1, 25), colour=colour)))
    want = _rgb_of_neutral(smooth.y, colour)
    got = _rgb_of_neutral(copy.frames[0].y, copy.info.colour)
    assert copy.info.is_still
    # Chroma is not zero, so only the mean brightness is compared across matrices.
    assert abs(want.mean() - got.mean()) < 4


def _rgb_of_neutral(luma, colour):
    return luma if colour.range == ColourRange.FULL else (luma.astype(float) - 16) * 255 / 219
