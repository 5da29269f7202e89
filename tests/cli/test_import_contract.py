"""Who may import whom, and what the package shows."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import nvc

ROOT = Path(__file__).resolve().parents[2]


def imported_by(statement: str) -> set[str]:
    program = f"import sys\n{statement}\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def named_imports(package: str) -> set[str]:
    names = set()
    for path in (ROOT / package).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize(
    ("statement", "unwanted"),
    [
        ("import nvc", {"torch", "click", "av", "numpy"}),
        ("import nvc; nvc.read_info, nvc.EncoderConfig, nvc.StreamError", {"torch", "click", "av", "cv2"}),
        ("import nvc; nvc.encode, nvc.decode", {"torch", "click"}),
        ("import bitstream_spec", {"torch", "numpy", "av", "click", "nvc"}),
    ],
)
def test_import_stays_light(statement: str, unwanted: set[str]) -> None:
    assert not imported_by(statement) & unwanted


@pytest.mark.parametrize(
    ("package", "unwanted"),
    [
        ("bitstream_spec", {"nvc", "nvc_cli", "torch", "numpy", "av", "click"}),
        ("nvc", {"nvc_cli", "click"}),
        ("nvc_cli", {"torch", "av"}),
    ],
)
def test_layers_only_import_downward(package: str, unwanted: set[str]) -> None:
    assert not named_imports(package) & unwanted


WITHOUT_NUMBA = """
import sys
sys.modules["numba"] = None
import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *more: None if name == "numba" else found(name, *more)
import numpy as np
import nvc.config, nvc.decoder, nvc.encoder
from nvc.media.synthetic import natural_clip
clip = natural_clip(64, 48, 3, seed=1)
encoder = nvc.encoder.Encoder(nvc.config.EncoderConfig(model="tiny"), 64, 48)
coded = [encoder.encode(frame) for frame in clip]
decoder = nvc.frame_coder.FrameCoder(nvc.model_store.load_model("tiny"), 64, 48)
for one in coded:
    assert np.array_equal(decoder.decode(one.packet)[-1].y, one.reconstruction.y)
assert decoder.last_vectors().any()
"""


def test_without_numba_both_ways_still_work() -> None:
    subprocess.run([sys.executable, "-c", WITHOUT_NUMBA], check=True, timeout=120)


def test_exported_names_are_sorted_and_there() -> None:
    assert nvc.__all__ == sorted(nvc.__all__)
    assert dir(nvc) == nvc.__all__
    for name in nvc.__all__:
        assert getattr(nvc, name) is not None


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'transcode'"):
        _ = nvc.transcode


def test_version_is_that_of_the_project() -> None:
    found = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert found is not None
    assert found[1] == nvc.__version__


def test_typed() -> None:
    assert (ROOT / "nvc" / "py.typed").exists()
