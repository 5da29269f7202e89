from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from bitstream_spec import (
    AudioPacket,
    AudioTrack,
    FramePacket,
    FrameType,
    StreamHeader,
    StreamWriter,
    Substream,
)
from nvc.media import VideoInfo, open_output
from nvc.media.synthetic import natural_clip

WIDTH, HEIGHT, N_FRAMES = 64, 48, 12


@pytest.fixture(scope="session")
def tiny_model() -> str:
    """The name of the networks that tests use."""
    from nvc.model_store import installed_models

    if all(entry.name != "tiny" for entry in installed_models()):
        pytest.skip("the weights of the model 'tiny' are not installed")
    return "tiny"


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve frames of 64x48 at 25 frames per second."""
    path = tmp_path_factory.mktemp("clip") / "clip.mkv"
    info = VideoInfo(WIDTH, HEIGHT, Fraction(1, 25), Fraction(25))
    with open_output(path, info) as writer:
        for frame in natural_clip(WIDTH, HEIGHT, N_FRAMES, seed=3):
            writer.write(frame)
    return path


@pytest.fixture(scope="session")
def stream(clip: Path, tiny_model: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The clip encoded, a keyframe every four frames, with its reconstruction beside it in recon.y4m."""
    import nvc

    path = tmp_path_factory.mktemp("stream") / "clip.nvc"
    config = nvc.EncoderConfig(tiny_model, qp=30, keyint=4, scene_cut=False, threads=1)
    nvc.encode(clip, path, config, reconstruction=path.with_name("recon.y4m"))
    return path


@pytest.fixture
def hollow_stream(tmp_path: Path) -> Path:
    """A stream of a model that does not exist: 8 frames in 2 GOPs from pts 100 on, and sound."""
    path = tmp_path / "hollow.nvc"
    header = StreamHeader(
        model_id=bytes(8),
        model_name="none",
        width=64,
        height=48,
        time_base=Fraction(1, 100),
        frame_rate=Fraction(25),
        audio_tracks=(AudioTrack("pcm_s16le", 1000, "mono", Fraction(1, 1000)),),
        metadata=(("title", "hollow"),),
    )
    with path.open("wb") as file, StreamWriter(file, header) as writer:
        for index in range(8):
            pts = 100 + 4 * index
            if index % 4 == 0:
                writer.write_gop(pts, 4)
            kind = FrameType.P if index % 4 else FrameType.I
            part = Substream(bytes(10))
            writer.write_frame(FramePacket(kind, pts, 4, 30 + index % 2, (part,)))
            writer.write_audio(AudioPacket(0, 1000 + 40 * index, 1000 + 40 * index, 40, bytes(5)))
    return path
