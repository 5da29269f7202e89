"""Inputs made on the spot, and what a reader says about a file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame

from bitstream_spec import AudioPacket, AudioTrack
from nvc.frames import Frame
from nvc.media import VideoInfo, open_output, open_video
from nvc.media.pixels import to_picture
from nvc.media.synthetic import natural_clip

IRREGULAR_STEPS = [3600, 3003, 4504, 1500, 7200]


@dataclass
class Reading:
    """All that a reader gives."""

    info: VideoInfo
    tracks: tuple[AudioTrack, ...]
    frames: list[Frame]
    packets: list[AudioPacket]
    notices: list[str]

    @property
    def pts(self) -> list[int]:
        return [frame.pts for frame in self.frames]

    @property
    def planes(self) -> list[bytes]:
        return [plane.tobytes() for frame in self.frames for plane in frame.planes]


def _read(source: object, **options: int | None) -> Reading:
    with open_video(source, **options) as reader:  # type: ignore[arg-type]
        items = list(reader)
        frames = [item for item in items if isinstance(item, Frame)]
        packets = [item for item in items if isinstance(item, AudioPacket)]
        return Reading(reader.info, reader.audio_tracks, frames, packets, reader.notices)


@pytest.fixture
def read() -> Callable[..., Reading]:
    return _read


@pytest.fixture
def rewrite(tmp_path: Path) -> Callable[..., Reading]:
    """Copies a video through reader and writer, and reads the copy."""

    def copy(source: Path, name: str, **options: object) -> Reading:
        with (
            open_video(source) as reader,
            open_output(tmp_path / name, reader.info, reader.audio_tracks, **options) as writer,  # type: ignore[arg-type]
        ):
            for item in reader:
                writer.write(item)
        return _read(tmp_path / name)

    return copy


@pytest.fixture
def write_frames(tmp_path: Path) -> Callable[..., Path]:
    """Writes frames under a name, 1/25 s each unless the info says other."""

    def write(name: str, frames: Sequence[Frame], info: VideoInfo | None = None, **options: object) -> Path:
        size = frames[0].width, frames[0].height
        info = info or VideoInfo(*size, Fraction(1, 25), frame_rate=Fraction(25))
        with open_output(tmp_path / name, info, **options) as writer:  # type: ignore[arg-type]
            for frame in frames:
                writer.write(frame)
        return tmp_path / name

    return write


@pytest.fixture(scope="session")
def phone_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MP4 as phones make them: variable rate, late start, B frames, rotation, colour, AAC in German."""
    path = tmp_path_factory.mktemp("phone") / "phone.mp4"
    timescale = {"video_track_timescale": "90000", "movie_timescale": "90000"}
    with av.open(str(path), "w", container_options=timescale) as container:
        container.metadata["title"] = "Hallo"
        video = container.add_stream("libx264", rate=25, options={"bf": "2", "crf": "20"})
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        video.codec_context.time_base = video.time_base = Fraction(1, 90000)
        video.codec_context.sample_aspect_ratio = Fraction(4, 3)
        video.codec_context.color_primaries = video.codec_context.colorspace = 1
        video.codec_context.color_trc, video.codec_context.color_range = 1, 1
        if hasattr(video, "set_display_rotation"):  # PyAV 18
            video.set_display_rotation(90)
        sound = container.add_stream("aac", rate=44100)
        sound.layout = "stereo"
        sound.metadata["language"] = "deu"
        pts = 45000
        for index, frame in enumerate(natural_clip(64, 48, 30)):
            picture = to_picture(frame)
            picture.pts, picture.time_base = pts, Fraction(1, 90000)
            container.mux(video.encode(picture))
            pts += IRREGULAR_STEPS[index % len(IRREGULAR_STEPS)]
        container.mux(video.encode(None))
        time = np.arange(44100 * 2)
        wave = (0.2 * np.sin(time * 0.05)).astype(np.float32)
        for start in range(0, time.size, 1024):
            block = AudioFrame.from_ndarray(np.stack([wave[start : start + 1024]] * 2), "fltp", "stereo")
            block.sample_rate, block.pts = 44100, start
            container.mux(sound.encode(block))
        container.mux(sound.encode(None))
    return path


@pytest.fixture
def write_grey_ramp(tmp_path: Path) -> Callable[..., Path]:
    """Writes one 64x48 picture of a horizontal grey ramp 0..252 in any pixel format and codec."""

    def write(name: str, pixel_format: str, codec: str, full_range: bool = False) -> Path:
        ramp = np.repeat(np.arange(64, dtype=np.uint8)[None, :, None] * 4, 48, axis=0)
        rgb = VideoFrame.from_ndarray(np.ascontiguousarray(np.repeat(ramp, 3, axis=2)), format="rgb24")
        destination = {"dst_color_range": 2} if full_range else {}
        with av.open(str(tmp_path / name), "w") as container:
            stream = container.add_stream(codec, rate=25)
            stream.width, stream.height, stream.pix_fmt = 64, 48, pixel_format
            stream.codec_context.color_range = 2 if full_range else 0
            container.mux(stream.encode(rgb.reformat(format=pixel_format, **destination)))
            container.mux(stream.encode(None))
        return tmp_path / name

    return write


@pytest.fixture
def write_sound(tmp_path: Path) -> Callable[[str], Path]:
    """Writes a Matroska file of five frames and a fifth of a second of sound in any codec."""

    def write(codec: str) -> Path:
        path = tmp_path / "sound.mkv"
        with av.open(str(path), "w") as container:
            video = container.add_stream("ffv1", rate=25)
            video.width, video.height = 16, 16
            sound = container.add_stream(codec, rate=48000)
            sound.layout = "stereo"
            for index, frame in enumerate(natural_clip(16, 16, 5)):
                picture = to_picture(frame)
                picture.pts = index
                container.mux(video.encode(picture))
            tone = np.sin(np.arange(9600) * 0.05) * 8000
            block = AudioFrame.from_ndarray(np.repeat(tone, 2).astype(np.int16)[None], "s16", "stereo")
            block.sample_rate, block.pts = 48000, 0
            resampler = av.AudioResampler(sound.format, "stereo", 48000, sound.frame_size or None)
            for piece in [*resampler.resample(block), *resampler.resample(None)]:
                container.mux(sound.encode(piece))
            container.mux(sound.encode(None))
            container.mux(video.encode(None))
        return path

    return write
