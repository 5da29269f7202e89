"""The synthetic clips are repeatable and behave like natural video."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from nvc.media.synthetic import natural_clip


def test_same_seed_same_clip():
    first, second, other = natural_clip(48, 32, 3, 5), natural_clip(48, 32, 3, 5), natural_clip(48, 32, 3, 6)
    assert [frame.checksum() for frame in first] == [frame.checksum() for frame in second]
    assert first[0].checksum() != other[0].checksum()
    assert [frame.pts for frame in first] == [0, 1, 2]


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (17, 31), (3, 400), (176, 144)])
def test_any_size(size):
    frame = natural_clip(*size, 2)[1]
    assert (frame.width, frame.height) == size


def test_statistics_of_nature():
    frames = natural_clip(176, 144, 4)
    y = frames[0].y.astype(float)
    assert 20 < y.std() < 70
    assert 1 < np.abs(np.diff(y, axis=1)).mean() < 10, "neighbours are alike"
    motion = np.abs(frames[1].y.astype(float) - y).mean()
    assert 0.5 < motion < 10, "frames differ, but not much"
    assert 2 < frames[0].u.std() < 25


def test_imports_neither_torch_nor_click():
    code = "import sys, nvc.media, nvc.media.demo; sys.exit(bool({'torch', 'click'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
