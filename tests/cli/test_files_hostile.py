"""Streams whose header and sound say what FFmpeg cannot take: one of our errors, or a file without it."""

from __future__ import annotations

import io
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import nvc
from bitstream_spec import AudioPacket, AudioTrack, GopHeader, StreamReader, StreamWriter
from nvc_cli.__main__ import nvc as command

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "v7_one_pixel.nvc"
TRACK = AudioTrack("pcm_s16le", 48000, "mono", Fraction(1, 48000), "s16")
U32_MAX = 2**32 - 1
TIME_MAX = 2**61


def write_stream(path: Path, first_pts: int = 0, audio: AudioPacket | None = None, **header: Any) -> Path:
    """The golden stream with another header, other times, and one packet of sound."""
    reader = StreamReader(io.BytesIO(GOLDEN.read_bytes()))
    with path.open("wb") as file, StreamWriter(file, replace(reader.header, **header)) as writer:
        for item in reader:
            if isinstance(item, GopHeader):
                writer.write_gop(item.first_pts + first_pts)
                if audio is not None:
                    writer.write_audio(audio)
            else:
                writer.write_frame(replace(item, pts=item.pts + first_pts))  # type: ignore[type-var]
    return path


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".png"])
@pytest.mark.parametrize(
    "header",
    [
        {"time_base": Fraction(U32_MAX, 1)},
        {"time_base": Fraction(1, U32_MAX)},
        {"frame_rate": Fraction(U32_MAX, 7)},
        {"sample_aspect_ratio": Fraction(1, U32_MAX)},
        {"display_matrix": (-(2**31),) * 9},
        {"audio_tracks": (replace(TRACK, sample_rate=U32_MAX),)},
        {"audio_tracks": (replace(TRACK, bit_rate=2**64 - 1),)},
        {"audio_tracks": (replace(TRACK, time_base=Fraction(U32_MAX)),)},
        {"audio_tracks": (replace(TRACK, channel_layout="1000 channels"),)},
        {"audio_tracks": (replace(TRACK, codec="nonsense"), replace(TRACK, codec="h264"))},
        {"metadata": (("\x00", "\x1b[31m"), ("a\nb", "\x00"))},
    ],
    ids=str,
)
def test_facts_beyond_ffmpeg(tmp_path: Path, suffix: str, header: dict[str, Any]) -> None:
    n_frames = 1 if suffix == ".png" else None
    stream = write_stream(tmp_path / "in.nvc", **header)
    try:
        summary = nvc.decode(stream, tmp_path / f"out{suffix}", threads=1, n_frames=n_frames)
    except nvc.MediaError:
        assert list(tmp_path.iterdir()) == [stream]
    else:
        assert summary.fault is None
        assert summary.n_frames == (n_frames or 3)


@pytest.mark.parametrize("first_pts", [TIME_MAX - 10, -TIME_MAX])
@pytest.mark.parametrize("time", [TIME_MAX, -TIME_MAX])
def test_times_at_the_end_of_their_range(tmp_path: Path, first_pts: int, time: int) -> None:
    audio = AudioPacket(0, time, time, TIME_MAX, bytes(4))
    stream = write_stream(tmp_path / "in.nvc", first_pts, audio, audio_tracks=(TRACK,))
    for part in ({}, {"start_s": 0.0}, {"start_s": 0.04}, {"start_s": 0.04, "duration_s": 10.0**8}):
        try:
            summary = nvc.decode(stream, tmp_path / "out.mkv", threads=1, overwrite=True, **part)  # type: ignore[arg-type]
        except nvc.MediaError:
            continue
        assert summary.n_frames > 0


def test_metadata_cannot_rule_the_terminal(tmp_path: Path) -> None:
    stream = write_stream(tmp_path / "in.nvc", metadata=(("ti\x1btle", "\x1b[2J\x07\u202egone"),))
    output = CliRunner().invoke(command, ["info", str(stream)]).output
    assert "[2J" in output
    assert all(letter.isprintable() or letter == "\n" for letter in output)
