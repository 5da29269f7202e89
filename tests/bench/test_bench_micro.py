from __future__ import annotations

import sys

import pytest
from bench_samples import ROOT

sys.path.insert(0, str(ROOT))

from benchmarks import entropy_coder, products


def test_entropy_coder_loses_little(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["entropy_coder", "--symbols", "20000", "--rounds", "1"])
    entropy_coder.main()
    lines = {line.split()[0]: line.split() for line in capsys.readouterr().out.splitlines()}
    assert 1 <= float(lines["nvc"][3]) < 1.005
    assert float(lines["zlib"][2].rstrip(",")) > 0


def test_products_prints_a_ratio_per_form(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["products", "--width", "16", "--positions", "160", "--rounds", "1"])
    products.main()
    out = capsys.readouterr().out
    assert out.count(" x float32") == 5
    assert out.count(" 1.00 x float32") == 2
