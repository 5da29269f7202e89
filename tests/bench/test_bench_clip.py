from __future__ import annotations

import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from bench_samples import HEIGHT, N_FRAMES, WIDTH

from nvc.bench.clip import Clip, load_clip, raw_frames, unique_names
from nvc.errors import ConfigError, MediaError
from nvc.media import open_video
from nvc.media.synthetic import natural_clip


def test_clip_holds_the_planes_of_the_file(clip: Clip) -> None:
    expected = natural_clip(WIDTH, HEIGHT, N_FRAMES, seed=1)
    assert clip.n_frames == len(expected)
    for frame, original in zip(clip, expected, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(frame.planes, original.planes, strict=True))
    assert clip.md5 == hashlib.md5(clip.raw.read_bytes()).hexdigest()


@pytest.mark.parametrize("suffix", ["png", "webp"])
def test_picture_is_a_clip_of_one_frame(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"still.{suffix}"
    assert cv2.imwrite(str(path), np.full((18, 20, 3), (90, 90, 90), np.uint8))
    still = load_clip(path, 33, tmp_path)
    assert (still.n_frames, still.width, still.height) == (1, 20, 18)
    assert {int(v) for v in np.unique(still[0].y)} <= {92, 93, 94}  # 16 + 90 * 219 / 255


def test_shorter_part_has_another_md5(clip_file: Path, clip: Clip, tmp_path: Path) -> None:
    (tmp_path / "part").mkdir()
    part = load_clip(clip_file, 2, tmp_path / "part")
    assert (part.n_frames, part.md5 == clip.md5) == (2, False)
    assert part.raw.read_bytes() == clip.raw.read_bytes()[: 2 * clip.frame_bytes]


def test_y4m_holds_the_same_frames(clip: Clip, tmp_path: Path) -> None:
    path = clip.write_y4m(tmp_path / "again.y4m")
    with open_video(path) as reader:
        assert reader.info.frame_rate == clip.frame_rate
        checksums = [frame.checksum() for frame in reader]  # type: ignore[union-attr]
    assert checksums == [frame.checksum() for frame in clip]


def test_raw_file_that_ends_within_a_frame(clip: Clip) -> None:
    with clip.raw.open("ab") as file:
        file.write(b"x")
    with pytest.raises(MediaError, match="5 frames of 96x64 and 1 bytes more"):
        list(raw_frames(clip.raw, WIDTH, HEIGHT))


def test_index_outside(clip: Clip) -> None:
    with pytest.raises(IndexError):
        clip[N_FRAMES]


def test_two_clips_of_one_name() -> None:
    with pytest.raises(ConfigError, match="one name"):
        unique_names([Path("a/x.mkv"), Path("b/x.mp4")])
