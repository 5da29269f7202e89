"""What a file says about its video and sound arrives in the file written from it."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import accumulate

import pytest
from conftest import IRREGULAR_STEPS

from bitstream_spec import AudioPacket, Colour, ColourRange
from nvc.media import VideoInfo, open_output
from nvc.media.demo import demo_clip
from nvc.media.synthetic import natural_clip

ROTATED_90 = (0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30)


def test_reader_reports_the_file(phone_video, read):
    video = read(phone_video)
    assert (video.info.width, video.info.height) == (64, 48)
    assert video.info.time_base == Fraction(1, 90000)
    assert video.info.sample_aspect_ratio == Fraction(4, 3)
    assert video.info.colour == Colour(1, 1, 1, ColourRange.LIMITED)
    assert video.info.display_matrix is not None
    assert tuple(abs(n) for n in video.info.display_matrix) == tuple(abs(n) for n in ROTATED_90)
    assert video.info.n_frames == len(video.frames) == 30
    assert ("title", "Hallo") in video.info.metadata
    assert not video.info.is_still
    assert video.notices == []
    steps = [IRREGULAR_STEPS[index % 5] for index in range(29)]
    assert video.pts == list(accumulate(steps, initial=45000))
    assert [frame.duration for frame in video.frames[:-1]] == steps
    (track,) = video.tracks
    assert (track.codec, track.sample_rate, track.channel_layout) == ("aac", 44100, "stereo")
    assert (track.language, track.time_base, track.initial_padding) == ("deu", Fraction(1, 44100), 1024)
    assert video.packets[0].pts == -1024


@pytest.mark.parametrize("name", ["copy.mp4", "copy.mov"])
@pytest.mark.parametrize("lossless", [False, True])
def test_mp4_keeps_every_fact(phone_video, read, rewrite, name, lossless):
    source, copy = read(phone_video), rewrite(phone_video, name, lossless=lossless)
    # FFmpeg's average of a variable rate depends on the decoding order, which has no B frames here.
    assert abs(copy.info.frame_rate / source.info.frame_rate - 1) < 0.01
    same = {"frame_rate": None, "metadata": ()}
    assert replace(copy.info, **same) == replace(source.info, **same)
    assert ("title", "Hallo") in copy.info.metadata
    assert copy.pts == source.pts
    assert [frame.duration for frame in copy.frames] == [frame.duration for frame in source.frames]
    assert copy.packets == source.packets
    # QuickTime's own list of languages has no "deu".
    language = "deu" if name == "copy.mp4" else ""
    assert copy.tracks == tuple(replace(track, language=language) for track in source.tracks)
    assert (copy.planes == source.planes) is lossless


def test_mkv_keeps_planes_facts_and_sound(phone_video, read, rewrite):
    source, copy = read(phone_video), rewrite(phone_video, "copy.mkv")
    assert copy.planes == source.planes
    assert copy.pts == [round(pts * Fraction(1000, 90000)) for pts in source.pts]
    assert copy.info.colour == source.info.colour
    assert copy.info.sample_aspect_ratio == Fraction(4, 3)
    assert copy.info.display_matrix == source.info.display_matrix
    assert [packet.payload for packet in copy.packets] == [packet.payload for packet in source.packets]
    assert copy.packets[0].pts == -23, "the encoder's delay of 1024 samples, in milliseconds"
    assert (copy.tracks[0].sample_rate, copy.tracks[0].language) == (44100, "deu")
    assert copy.tracks[0].extradata == source.tracks[0].extradata


def test_tracks_from_a_stream_header_are_enough(phone_video, read, tmp_path):
    """The writer sees only plain values, as a decoder has them: nothing of the input file."""
    source = read(phone_video)
    with open_output(tmp_path / "out.mp4", source.info, source.tracks) as writer:
        for item in sorted([*source.packets, *source.frames], key=_seconds(source)):
            writer.write(item)
    assert read(tmp_path / "out.mp4").packets == source.packets


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv", "out.mov"])
@pytest.mark.parametrize("codec", ["libopus", "pcm_s16le", "pcm_s24le", "ac3", "flac", "libmp3lame", "alac"])
def test_other_audio_codecs_are_copied(write_sound, read, rewrite, name, codec):
    source_path = write_sound(codec)
    source, copy = read(source_path), rewrite(source_path, name)
    if (codec, name) in {("libopus", "out.mov"), ("flac", "out.mov")}:
        assert copy.tracks == ()
        return
    # PCM may be cut into packets of other lengths.
    assert b"".join(p.payload for p in copy.packets) == b"".join(p.payload for p in source.packets)
    assert copy.tracks[0].codec == source.tracks[0].codec
    assert copy.tracks[0].sample_rate == source.tracks[0].sample_rate
    assert copy.tracks[0].sample_format == source.tracks[0].sample_format
    assert copy.tracks[0].extradata == source.tracks[0].extradata


def test_a_codec_that_the_container_cannot_hold_is_left_out_with_a_notice(read, tmp_path, phone_video):
    source = read(phone_video)
    tracks = [replace(source.tracks[0], codec="vorbis"), replace(source.tracks[0], codec="unheard_of")]
    with open_output(tmp_path / "out.mov", source.info, tracks) as writer:
        writer.write(source.packets[0])
        writer.write(source.frames[0])
    assert [notice.split(",")[0] for notice in writer.notices] == [
        "left out audio track 0 (vorbis)",
        "left out audio track 1 (unheard_of)",
    ]
    assert read(tmp_path / "out.mov").tracks == ()


def test_fractional_and_coarse_time_bases_survive_as_times(write_frames, read):
    frames = natural_clip(32, 16, 3)
    info = VideoInfo(32, 16, Fraction(1001, 30000), frame_rate=Fraction(30000, 1001))
    copy = read(write_frames("ntsc.mp4", frames, info))
    assert [pts * copy.info.time_base for pts in copy.pts] == [n * info.time_base for n in range(3)]
    assert copy.info.frame_rate == Fraction(30000, 1001)


@pytest.mark.parametrize("skip", [0, 7])
def test_part_of_a_video_keeps_the_sound_of_that_time(phone_video, read, skip):
    whole, part = read(phone_video), read(phone_video, skip=skip, n_frames=8)
    assert part.pts == whole.pts[skip : skip + 8]
    assert part.info.n_frames == 8
    begin = part.frames[0].pts / 90000 if skip else -1
    end = (part.frames[-1].pts + part.frames[-1].duration) / 90000
    expected = [p for p in whole.packets if (p.pts + p.duration) / 44100 > begin and p.pts / 44100 < end]
    assert part.packets == expected


def test_skipping_everything_leaves_nothing(phone_video, read):
    assert read(phone_video, skip=30).frames == []
    for part in ({"skip": -1}, {"n_frames": 0}):
        with pytest.raises(ValueError, match="expected at least 0 and 1"):
            read(phone_video, **part)


def test_demo_clip(tmp_path, read):
    demo_clip(tmp_path / "demo.mp4", n_frames=10)
    video = read(tmp_path / "demo.mp4")
    assert len(video.frames) == 10
    assert (video.info.width, video.info.height, video.info.frame_rate) == (416, 240, 25)
    assert video.tracks[0].codec == "aac"
    assert ("title", "nvc demo clip") in video.info.metadata


def _seconds(source):
    def seconds(item):
        base = source.tracks[0].time_base if isinstance(item, AudioPacket) else source.info.time_base
        return item.pts * base

    return seconds
