from __future__ import annotations

import sys
from pathlib import Path

import pytest
from bench_samples import FAKE, write_clip

from nvc.bench.clip import Clip, load_clip


@pytest.fixture(scope="session")
def clip_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clips") / "scene.y4m")


@pytest.fixture
def clip(clip_file: Path, tmp_path: Path) -> Clip:
    return load_clip(clip_file, None, tmp_path)


@pytest.fixture
def template(tmp_path: Path) -> Path:
    """A template whose program is this Python, running the fake encoder."""
    path = tmp_path / "fake.toml"
    path.write_text(
        f"""
        encoder = ["{sys.executable}"]
        qps = [1, 2, 3, 4]
        encode = ["{{encoder}}", "{FAKE}", "encode", "{{yuv}}", "{{stream}}", "{{qp}}", "{{n_frames}}"]
        decode = ["{{decoder}}", "{FAKE}", "decode", "{{stream}}", "{{decoded}}"]
        [modes.fake_ld]
        protocol = "ld"
        """
    )
    return path
