from __future__ import annotations

import csv
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from bench_samples import ANCHORS

from nvc.bench import load_references
from nvc.bench.clip import Clip
from nvc.bench.reference import DEFAULT_REFERENCES
from nvc.errors import NvcError
from nvc_cli.bench import bench

CARPHONE = Clip(
    "my_clip", Path("x.yuv"), 176, 144, Fraction(30000, 1001), 33, "0211eb0ad969947f9fc9c9ff69618ed6"
)


def test_rows_of_the_same_frames() -> None:
    rows = load_references().find(CARPHONE, -1, DEFAULT_REFERENCES)
    assert {row.codec for row in rows} == {"hm_ldp", "hm_ldb", "vvenc_medium"}
    first = next(row for row in rows if (row.codec, row.qp) == ("hm_ldp", 22))
    assert (first.clip, first.size_bytes, first.psnr_db, first.protocol) == ("my_clip", 22360, 41.8223, "ld")
    assert (first.version, first.origin) == ("HM-16.25", "anchors/anchors.csv")
    assert {row.protocol for row in rows if row.codec == "vvenc_medium"} == {"default"}


def test_rows_of_the_first_frame() -> None:
    references = load_references()
    md5 = next(md5 for (md5, n), name in references.by_md5.items() if n == 1 and "foreman" in name)
    still = Clip("still", Path("x.yuv"), 352, 288, Fraction(25), 1, md5)
    rows = references.find(still, -1, DEFAULT_REFERENCES)
    assert {(row.codec, row.protocol) for row in rows} == {("hm_intra", "intra"), ("vtm_intra", "intra")}
    assert {row.codec for row in references.find(still, 1)} >= {"x264_medium", "x265_medium", "x265_veryslow"}


def test_default_of_the_command() -> None:
    (option,) = (option for option in bench.params if option.name == "references")
    assert option.default == ",".join(DEFAULT_REFERENCES)


@pytest.mark.parametrize(
    "clip",
    [replace(CARPHONE, md5="0" * 32), replace(CARPHONE, n_frames=32)],
    ids=["other pictures", "other number of frames"],
)
def test_never_for_other_frames(clip: Clip) -> None:
    assert load_references().find(clip, -1) == []


def test_never_with_more_keyframes() -> None:
    references = load_references()
    assert references.find(CARPHONE, 32) == []
    assert references.find(CARPHONE, 33) == [replace(r, keyint=33) for r in references.find(CARPHONE, -1)]


def test_every_shipped_row_can_be_found() -> None:
    references = load_references()
    with ANCHORS.open(newline="") as file:
        places = {(row["sequence"], int(row["frames"])) for row in csv.DictReader(file)}
    assert places == {(sequence, frames) for (_, frames), sequence in references.by_md5.items()}


def test_published_rows_of_a_whole_sequence() -> None:
    shipped = load_references()
    name = "BasketballPass_416x240_50.yuv"
    references = replace(shipped, by_md5={("whole", 500): name})
    clip = Clip("whole", Path("x.yuv"), 416, 240, Fraction(50), 500, "whole")
    rows = references.find(clip, -1)
    assert {(row.codec, row.protocol, row.psnr_u_db) for row in rows} == {("vtm17_ldb", "ld", None)}
    assert len(rows) == 10
    assert rows[0].origin == "anchors/vtm17_ldb_per_sequence.csv"
    for row in rows:
        assert row.size_bytes is not None
        assert row.bpp == pytest.approx(row.size_bytes * 8 / (416 * 240 * 500), abs=1e-5)


def test_folder_without_rows(tmp_path: Path) -> None:
    with pytest.raises(NvcError, match="cannot use the reference rows"):
        load_references(tmp_path)
