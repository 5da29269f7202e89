from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bench_samples import curve_rows

from nvc.bench import read_results, summarize, summary_table, write_results, write_summary
from nvc.bench.measure import save_picture
from nvc.bench.measurement import COLUMNS, Measurement
from nvc.bench.results import CSV, JOURNAL, JSON, Journal, read_csv, write_csv
from nvc.bench.runner import picture_path, source_path
from nvc.errors import NvcError
from nvc.frames import Frame

ROWS = curve_rows("scene", "x264_medium_ld") + curve_rows("scene", "nvc_s", 0.5)


def test_json_gives_the_rows_back(tmp_path: Path) -> None:
    write_results(tmp_path, ROWS, [])
    assert read_results(tmp_path) == ROWS
    document = json.loads((tmp_path / JSON).read_text())
    assert document["version"] == 1
    assert document["machine"]


def test_csv_gives_the_rows_back_without_frames(tmp_path: Path) -> None:
    rows = [*ROWS, replace(ROWS[0], error="NvcError: no, it did not", psnr_db=None)]
    write_csv(tmp_path / CSV, rows)
    assert (tmp_path / CSV).read_text().splitlines()[0] == ",".join(COLUMNS)
    assert read_csv(tmp_path / CSV) == [replace(row, frames=()) for row in rows]


def test_columns_of_a_later_version_are_left_out() -> None:
    assert Measurement.from_dict({**ROWS[0].to_dict(), "smell": 3}) == ROWS[0]


@pytest.mark.parametrize("text", ["", "[]", '{"rows": [{"clip": "x"}]}'])
def test_what_is_no_result_file(text: str, tmp_path: Path) -> None:
    (tmp_path / JSON).write_text(text)
    with pytest.raises(NvcError, match="not a result file"):
        read_results(tmp_path)


def test_folder_without_results(tmp_path: Path) -> None:
    with pytest.raises(NvcError, match=r"has no results\.json"):
        read_results(tmp_path)


def test_journal_finds_rows_of_an_earlier_run(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    for row in ROWS:
        journal.add(row)
    assert [Journal(tmp_path).find(row) for row in ROWS] == ROWS
    assert Journal(tmp_path).find(replace(ROWS[0], version="2")) is None


def test_journal_survives_a_cut_line(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.add(ROWS[0])
    with (tmp_path / JOURNAL).open("a") as file:
        file.write('{"clip": "sce')
    journal = Journal(tmp_path)
    journal.add(ROWS[1])
    assert [Journal(tmp_path).find(row) for row in ROWS[:2]] == ROWS[:2]


def test_failed_row_is_measured_again(tmp_path: Path) -> None:
    Journal(tmp_path).add(replace(ROWS[0], error="out of disk"))
    assert Journal(tmp_path).find(ROWS[0]) is None


def write_rows(rows: list[Measurement], folder: Path) -> None:
    """A result folder with a picture per row, grey as its name is long."""
    folder.mkdir()
    write_results(folder, rows, [])
    for row in rows:
        for path in (picture_path(folder, row), source_path(folder, row.clip)):
            save_picture(flat_frame(len(folder.name)), path)


def flat_frame(value: int) -> Frame:
    planes = (np.full(shape, value, np.uint8) for shape in ((16, 16), (8, 8), (8, 8)))
    return Frame(*planes)


def test_summary_joins_folders(tmp_path: Path) -> None:
    write_rows(ROWS[:4], tmp_path / "anchors")
    write_rows(ROWS, tmp_path / "mine")
    joined, notes = summarize([tmp_path / "anchors", tmp_path / "mine"])
    assert ([item.row for item in joined], notes) == (ROWS, [])
    (figure,) = summary_table(joined)
    assert (figure.anchor, figure.codec, figure.bd_rate_percent) == ("x264_medium_ld", "nvc_s", -50.0)
    out = tmp_path / "out"
    write_summary(joined, out)
    assert read_results(out) == ROWS
    assert (out / "report.html").read_text().count("data:image/webp") == 4 + 3 + 1  # nvc, the nearest, source
    origins = [item.folder.name for item in joined]
    for row, origin in zip(ROWS, origins, strict=True):
        assert picture_path(out, row).read_bytes() == picture_path(tmp_path / origin, row).read_bytes()
    assert origins == ["anchors"] * 4 + ["mine"] * 4


def test_summary_tells_versions_apart(tmp_path: Path) -> None:
    write_rows(ROWS, tmp_path / "old")
    write_rows(curve_rows("scene", "nvc_s", 0.4, version="2"), tmp_path / "new")
    joined, _ = summarize([tmp_path / "old", tmp_path / "new"])
    assert {item.row.codec for item in joined} == {"x264_medium_ld", "nvc_s@old", "nvc_s@new"}
    write_summary(joined, tmp_path / "out")
    for item in joined:
        assert picture_path(tmp_path / "out", item.row).exists()


def test_summary_does_not_mix_parts_of_a_clip(tmp_path: Path) -> None:
    write_rows(ROWS, tmp_path / "short")
    longer = [replace(row, n_frames=3, clip_md5="other") for row in ROWS[:4]]
    write_rows(longer, tmp_path / "long")
    joined, notes = summarize([tmp_path / "short", tmp_path / "long"])
    assert [item.row for item in joined] == ROWS
    assert notes == ["scene: kept the rows of 2 frames with keyint -1; others differ"]
