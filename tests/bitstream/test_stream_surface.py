"""The public names, and what importing them costs."""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType

import bitstream_spec


def test_all_is_complete() -> None:
    public = {
        name
        for name, value in vars(bitstream_spec).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert set(bitstream_spec.__all__) == public


def test_all_is_sorted() -> None:
    names = bitstream_spec.__all__
    constants = [name for name in names if name.isupper()]
    assert names == sorted(constants) + sorted(name for name in names if not name.isupper())


def test_import_needs_neither_torch_nor_numpy() -> None:
    code = "import sys, bitstream_spec; print({'torch', 'numpy', 'av', 'nvc', 'click'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"


def test_errors_are_one_family() -> None:
    for error in ("CorruptStream", "LimitExceeded", "TruncatedStream", "UnsupportedStream"):
        assert issubclass(getattr(bitstream_spec, error), bitstream_spec.StreamError)
