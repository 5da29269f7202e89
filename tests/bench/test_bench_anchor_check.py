from __future__ import annotations

import csv
import sys
from dataclasses import replace

import pytest
from bench_samples import ANCHORS, ROOT

sys.path.insert(0, str(ROOT))

from benchmarks.anchor_check import bd_lines, compare, describe
from nvc.bench import Measurement, load_references
from nvc.bench.measurement import MEASURED

CARPHONE_33 = "0211eb0ad969947f9fc9c9ff69618ed6"


@pytest.fixture
def rows() -> list[Measurement]:
    """The shipped rows of one clip, as if they had just been measured."""
    with ANCHORS.open(newline="") as file:
        wanted = [
            row
            for row in csv.DictReader(file)
            if row["codec"] in ("x264_medium_ld", "x265_medium_ld")
            and row["sequence"].startswith("carphone")
            and row["frames"] == "33"
        ]
    return [
        Measurement(
            clip="carphone", clip_md5=CARPHONE_33, width=176, height=144, fps=29.97, n_frames=33, keyint=-1,
            codec=row["codec"], protocol="ld", version="1", settings="", qp=int(row["qp"]),
            size_bytes=int(row["bytes"]), bpp=float(row["bpp"]), psnr_db=float(row["psnr_yuv"]),
            origin=MEASURED,
        )
        for row in wanted
    ]  # fmt: skip


def test_same_rows_are_the_same(rows: list[Measurement]) -> None:
    differences = list(compare(rows, load_references()))
    assert len(differences) == 12
    text = "\n".join(describe(differences))
    assert "| x264_medium_ld | carphone | 6 | 6 | +0.000 % | +0.0000 dB |" in text
    assert "not the same" not in text
    assert (
        "| x265_medium_ld | x264_medium_ld | carphone | -14.363 % | -14.363 % |" in bd_lines(differences)[0]
    )


def test_each_difference_is_listed(rows: list[Measurement]) -> None:
    size = rows[0].size_bytes or 0
    changed = [replace(rows[0], size_bytes=size + size // 100), *rows[1:]]
    text = "\n".join(describe(list(compare(changed, load_references()))))
    assert "| x264_medium_ld | carphone | 6 | 5 | +0.999 % | +0.0000 dB |" in text
    assert text.count("| carphone | 20 |") == 1


def test_other_pictures_are_not_compared(rows: list[Measurement]) -> None:
    assert list(compare([replace(row, clip_md5="0" * 32) for row in rows], load_references())) == []
