"""Makes the clip of `nvc demo`: pictures and sound that need no download."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame

from bitstream_spec import AudioPacket, AudioTrack, Colour, ColourRange
from nvc.media.info import VideoInfo
from nvc.media.output import open_output
from nvc.media.synthetic import natural_clip

WIDTH, HEIGHT, FRAME_RATE = 416, 240, 25
_TICKS_PER_FRAME = 512
_SAMPLE_RATE = 48000
_CHORD_HZ = 220.0, 277.18, 329.63
_BT601 = Colour(primaries=6, transfer=6, matrix=6, range=ColourRange.LIMITED)


def demo_clip(path: str | Path, n_frames: int = 100, seed: int = 1) -> None:
    """Write an MP4 of 416x240 at 25 frames per second, H.264 with AAC sound; 100 frames are 4 seconds.

    Raises MediaError if the file cannot be written.
    """
    track, packets = _chord(n_frames / FRAME_RATE)
    info = VideoInfo(
        width=WIDTH,
        height=HEIGHT,
        time_base=Fraction(1, FRAME_RATE * _TICKS_PER_FRAME),
        frame_rate=Fraction(FRAME_RATE),
        sample_aspect_ratio=Fraction(1),
        colour=_BT601,
        n_frames=n_frames,
        metadata=(("title", "nvc demo clip"),),
    )
    with open_output(path, info, [track], format="mp4") as writer:
        for frame in natural_clip(WIDTH, HEIGHT, n_frames, seed):
            shown_until = Fraction(frame.pts + 1, FRAME_RATE)
            while packets and (packets[0].pts or 0) * track.time_base < shown_until:
                writer.write(packets.pop(0))
            writer.write(replace(frame, pts=frame.pts * _TICKS_PER_FRAME, duration=_TICKS_PER_FRAME))
        for packet in packets:
            writer.write(packet)


def _chord(seconds: float) -> tuple[AudioTrack, list[AudioPacket]]:
    """Encode a swelling chord, stereo AAC."""
    time = np.arange(round(seconds * _SAMPLE_RATE)) / _SAMPLE_RATE
    swell = 0.12 * np.sin(np.pi * time / seconds)
    turns = [[detune * hz * time for hz in _CHORD_HZ] for detune in (0.999, 1.001)]
    samples = (swell * np.sin(2 * np.pi * np.array(turns)).sum(axis=1)).astype(np.float32)
    codec = av.CodecContext.create("aac", "w")
    assert isinstance(codec, AudioCodecContext)
    codec.sample_rate, codec.layout, codec.format, codec.bit_rate = _SAMPLE_RATE, "stereo", "fltp", 96000
    codec.time_base = Fraction(1, _SAMPLE_RATE)
    codec.open()
    encoded = []
    for start in range(0, samples.shape[1], codec.frame_size):
        block = np.ascontiguousarray(samples[:, start : start + codec.frame_size])
        frame = AudioFrame.from_ndarray(block, format="fltp", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = _SAMPLE_RATE, start, codec.time_base
        encoded += codec.encode(frame)
    encoded += codec.encode(None)
    track = AudioTrack(
        codec="aac",
        sample_rate=_SAMPLE_RATE,
        channel_layout="stereo",
        time_base=codec.time_base,
        sample_format="fltp",
        bit_rate=codec.bit_rate,
        frame_size=codec.frame_size,
        initial_padding=max(0, -(encoded[0].pts or 0)),
        language="und",
        extradata=codec.extradata or b"",
    )
    return track, [AudioPacket(0, p.pts, p.dts, p.duration or 0, bytes(p), p.is_keyframe) for p in encoded]
