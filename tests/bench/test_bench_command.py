from __future__ import annotations

from pathlib import Path

import pytest
from bench_samples import curve_rows
from click.testing import CliRunner, Result

from nvc.bench import write_results
from nvc_cli.__main__ import nvc


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(nvc, ["bench", *map(str, arguments)])


def test_from_nothing_to_the_report(clip_file: Path, tmp_path: Path) -> None:
    arguments = [clip_file, "--no-nvc", "--anchors", "x264,mpeg2_ld", "--frames", 3, "--out", tmp_path]
    done = invoke(*arguments, "--anchor-qps", "x264=20,26,32,38", "--anchor-qps", "mpeg2=2,4,8,16")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("BD-rate of ")
    assert "8/12 scene x264_medium qp 38: " in done.stderr
    assert "no MS-SSIM of scene: 96x64 is too small for it" in done.stderr
    written = {path.name for path in tmp_path.iterdir()}
    assert {"results.csv", "results.json", "report.html", "plots", "pictures"} <= written
    again = invoke(*arguments, "--anchor-qps", "x264=20,26,32,38", "--anchor-qps", "mpeg2=2,4,8,16")
    assert again.stdout == done.stdout
    assert "reused 12 rows of an earlier run" in again.stderr


def test_missing_and_broken_programs(clip_file: Path, template: Path, tmp_path: Path) -> None:
    done = invoke(
        clip_file, "--no-nvc", "--anchors", "", "--template", template, "--anchor-qps", "fake=1,7",
        "--anchor", f"vtm={tmp_path}", "--out", tmp_path / "out",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "Note: left out vtm_ldb: EncoderApp was not found" in done.stderr
    assert "failed: scene fake_ld qp 7: NvcError: " in done.stderr


def test_summarize(tmp_path: Path) -> None:
    for name, rows in (
        ("mine", curve_rows("scene", "nvc_s")),
        ("anchors", curve_rows("scene", "hm_ldp", 0.8)),
    ):
        (tmp_path / name).mkdir()
        write_results(tmp_path / name, rows, [])
    done = invoke("--summarize", tmp_path / "mine", tmp_path / "anchors", "--out", tmp_path / "both")
    assert done.exit_code == 0, done.output
    assert "hm_ldp  +25.0 %  +25.0 %" in done.stdout
    assert {"results.csv", "report.html"} <= {path.name for path in (tmp_path / "both").iterdir()}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "Missing option '--out'"),
        (["--out", "x", "--qps", "20,no"], "'20,no' is no list of numbers"),
        (["--out", "x", "--anchor", "hm"], "'hm' is not NAME=VALUE"),
    ],
)
def test_wrong_usage(arguments: list[str], words: str, clip_file: Path) -> None:
    done = invoke(clip_file, *arguments)
    assert done.exit_code == 2
    assert words in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--anchors", "h264"], "Error: anchor 'h264' is unknown: expected x264, x265"),
        (["--no-nvc", "--keyint", "0"], "Error: keyint 0 is neither positive nor -1"),
        (["--anchors", "", "--model", "nosuch"], "Error: weights 'nosuch' are not installed"),
    ],
)
def test_failures_are_one_line(arguments: list[str], words: str, clip_file: Path, tmp_path: Path) -> None:
    done = invoke(clip_file, "--out", tmp_path, *arguments)
    assert done.exit_code == 1
    assert done.stderr.startswith(words)
    assert done.stderr.count("\n") == 1
