from __future__ import annotations

import csv

import bjontegaard
import pytest
from bench_samples import ANCHORS, RISING, curve_rows

from nvc.bench.bd import bd_table, compare_curves, mean_bd


def test_half_the_rate_is_minus_fifty_per_cent() -> None:
    figure = compare_curves("c", "a", "b", RISING, [(rate / 2, quality) for rate, quality in RISING])
    assert figure.bd_rate_percent == pytest.approx(-50)
    assert figure.bd_psnr_db == pytest.approx(3)
    assert (figure.overlap, figure.warning) == (1, "")


def test_equals_what_the_shipped_rows_give() -> None:
    with ANCHORS.open(newline="") as file:
        rows = [
            r for r in csv.DictReader(file) if r["sequence"].startswith("carphone") and r["frames"] == "33"
        ]
    curves = {
        name: sorted((float(r["bpp"]), float(r["psnr_yuv"])) for r in rows if r["codec"] == name)
        for name in ("x264_medium_ld", "x265_medium_ld")
    }
    x264, x265 = curves.values()
    direct = bjontegaard.bd_rate(
        *([point[i] for point in curve] for curve in (x264, x265) for i in (0, 1)), method="akima"
    )
    figure = compare_curves("carphone", "x264_medium_ld", "x265_medium_ld", x264, x265)
    assert figure.bd_rate_percent == pytest.approx(direct, abs=1e-3)
    assert figure.bd_rate_percent == pytest.approx(-14.363, abs=1e-3)


def test_little_overlap_is_warned_of() -> None:
    figure = compare_curves("c", "a", "b", RISING, [(rate, quality + 6) for rate, quality in RISING])
    assert figure.bd_rate_percent is not None
    assert figure.warning == "the curves share only 20 % of their PSNR range"


@pytest.mark.parametrize(("shift", "words"), [(8.5, "only 3 %"), (20, "no quality")])
def test_too_little_overlap_gives_no_figure(shift: float, words: str) -> None:
    figure = compare_curves("c", "a", "b", RISING, [(rate, quality + shift) for rate, quality in RISING])
    assert (figure.bd_rate_percent, figure.bd_psnr_db) == (None, None)
    assert words in figure.warning


def test_points_that_do_not_rise_are_left_out() -> None:
    figure = compare_curves("c", "a", "b", RISING, [*RISING, (0.9, 38.0)])
    assert figure.bd_rate_percent == pytest.approx(0, abs=1e-6)
    assert figure.warning == "1 points of b left out: more bytes, no better"


def test_three_points_are_too_few() -> None:
    assert compare_curves("c", "a", "b", RISING, RISING[:3]).warning == "fewer than 4 usable points"


def test_mean_is_over_clips_with_both() -> None:
    rows = [
        *curve_rows("one", "a"), *curve_rows("one", "b", 0.5), *curve_rows("two", "a"),
        *curve_rows("two", "b", 0.25), *curve_rows("three", "a"),
    ]  # fmt: skip
    table = bd_table(rows, ["a"], ["b"])
    assert [figure.clip for figure in table] == ["one", "two"]
    rate, psnr, count = mean_bd(table, "a", "b")
    assert (rate, psnr, count) == (pytest.approx(-62.5), pytest.approx(4.5), 2)
