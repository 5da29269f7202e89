"""y4m, the form in which video goes through pipes."""

from __future__ import annotations

import io
from fractions import Fraction

import pytest

from bitstream_spec import AudioTrack, Colour, ColourRange
from nvc.errors import MediaError
from nvc.media import VideoInfo, open_output, open_video
from nvc.media.synthetic import natural_clip

INFO = VideoInfo(
    3,
    5,
    Fraction(1, 24),
    Fraction(24000, 1001),
    Fraction(4, 3),
    Colour(range=ColourRange.FULL, chroma_location=1),
)


class Pipe(io.RawIOBase):
    """Gives bytes once, forward only."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        return self._data.readinto(buffer)


def _y4m(frames, info=INFO) -> bytes:
    buffer = io.BytesIO()
    with open_output(buffer, info, format="y4m") as writer:
        for frame in frames:
            writer.write(frame)
    return buffer.getvalue()


def test_exact_bytes():
    frame = natural_clip(3, 5, 1)[0]
    assert _y4m([frame]) == (
        b"YUV4MPEG2 W3 H5 F24000:1001 Ip A4:3 C420mpeg2 XCOLORRANGE=FULL\nFRAME\n"
        + b"".join(plane.tobytes() for plane in frame.planes)
    )


@pytest.mark.parametrize("seekable", [True, False])
def test_read_from_a_stream(read, seekable):
    frames = natural_clip(3, 5, 4)
    data = _y4m(frames)
    copy = read(io.BytesIO(data) if seekable else io.BufferedReader(Pipe(data)))
    assert copy.planes == [plane.tobytes() for frame in frames for plane in frame.planes]
    assert copy.pts == [0, 1, 2, 3]
    assert copy.info.time_base == Fraction(1001, 24000)
    assert copy.info.sample_aspect_ratio == Fraction(4, 3)
    assert copy.info.colour.range == ColourRange.FULL


@pytest.mark.parametrize("tag", ["C420", "C420jpeg", "C420mpeg2", "C420paldv"])
def test_every_420_tag_is_untouched(read, tag):
    frames = natural_clip(3, 5, 2)
    copy = read(io.BytesIO(_y4m(frames).replace(b"C420mpeg2", tag.encode())))
    assert copy.planes == [plane.tobytes() for frame in frames for plane in frame.planes]
    assert copy.notices == []


def test_mono_gets_neutral_chroma(read):
    data = b"YUV4MPEG2 W2 H2 F25:1 Ip A0:0 Cmono\nFRAME\n" + bytes([0, 80, 160, 255])
    copy = read(io.BytesIO(data))
    assert copy.planes == [bytes([0, 80, 160, 255]), b"\x80", b"\x80"]
    assert copy.notices == ["converted gray to 8-bit 4:2:0 with neutral chroma"]


def test_cut_short_gives_the_whole_frames(read):
    frames = natural_clip(3, 5, 3)
    copy = read(io.BytesIO(_y4m(frames)[:-4]))
    assert copy.planes == [plane.tobytes() for frame in frames[:2] for plane in frame.planes]


def test_nothing_but_a_header():
    with pytest.raises(MediaError, match="cannot read"):
        open_video(io.BytesIO(_y4m([])))


def test_sound_is_left_out_with_a_notice():
    track = AudioTrack("aac", 48000, "stereo", Fraction(1, 48000))
    writer = open_output(io.BytesIO(), INFO, [track], format="y4m")
    assert writer.notices == ["left out the audio: y4m holds pictures only"]
