from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from bench_samples import curve_rows

from nvc.bench import bd_table, report
from nvc.bench.measure import save_picture, to_bgr
from nvc.bench.measurement import Measurement
from nvc.bench.plots import OWN_COLOUR, codec_colours, write_plots
from nvc.bench.report import write_report
from nvc.bench.runner import picture_path, source_path
from nvc.bench.table import describe_row, format_bd
from nvc.media.synthetic import natural_clip

ROWS = [
    *curve_rows("a </script> clip", "nvc_s", 0.5),
    *curve_rows("a </script> clip", "x264_medium_ld"),
    *curve_rows("other", "x264_medium_ld"),
]


def report_of(
    rows: list[Measurement], out: Path
) -> tuple[str, dict[str, dict[str, dict[str, list[dict[str, object]]]]]]:
    (frame,) = natural_clip(32, 32, 1)
    for row in rows:
        save_picture(frame, picture_path(out, row))
        save_picture(frame, source_path(out, row.clip))
    page = write_report(rows, bd_table(rows, ["x264_medium_ld"], ["nvc_s"]), out, ["a <note>"]).read_text()
    found = re.search(r"^const data = (.*);$", page, re.MULTILINE)
    assert found is not None
    return page, json.loads(found[1])


def test_report_stands_alone(tmp_path: Path) -> None:
    page, _ = report_of(ROWS, tmp_path)
    addresses = set(re.findall(r"https?://[^\s\"'<>]+", page))
    assert {address.split("/")[2] for address in addresses} <= {"www.w3.org"}
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=[\"']?http", page)
    assert "a &lt;note&gt;" in page
    assert page.count("</script>") == 1


def test_viewer_has_nvc_and_the_anchor_nearest_in_bitrate(tmp_path: Path) -> None:
    _, data = report_of(ROWS, tmp_path)
    pictures = data["clips"]["a </script> clip"]["pictures"]
    assert [p["qp"] for p in pictures if p["codec"] == "nvc_s"] == [0, 1, 2, 3]
    assert [p["qp"] for p in pictures if p["codec"] == "x264_medium_ld"] == [0, 1, 2]
    assert all(str(p["image"]).startswith("data:image/webp;base64,") for p in pictures)
    assert len(data["clips"]["other"]["pictures"]) == 4


def test_plots_are_written(tmp_path: Path) -> None:
    rows = curve_rows("scene", "nvc_s") + curve_rows("scene", "hm_ldp", 2)
    (picture,) = write_plots(rows, tmp_path)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "<svg" in picture.with_suffix(".svg").read_text()


def test_modes_of_one_encoder_share_a_colour() -> None:
    colours = codec_colours(["x264_medium", "nvc_s", "x264_medium_ld", "hm_ldp"])
    assert colours["nvc_s"] == OWN_COLOUR
    assert colours["x264_medium"] == colours["x264_medium_ld"]
    assert len(set(colours.values())) == 3


def test_neutral_chroma_is_grey() -> None:
    (frame,) = natural_clip(5, 3, 1)
    grey = replace(frame, u=frame.u * 0 + 128, v=frame.v * 0 + 128)
    bgr = to_bgr(grey)
    assert bgr.shape == (3, 5, 3)
    assert (bgr.max(axis=2) == bgr.min(axis=2)).all()


def test_bd_lines() -> None:
    lines = format_bd(bd_table(ROWS, ["x264_medium_ld"], ["nvc_s"]))
    assert lines == [
        "BD-rate of nvc_s: per cent more bytes at equal PSNR (6 Y + U + V) / 8 than",
        "                   mean  a </script> clip",
        "x264_medium_ld  -50.0 %           -50.0 %",
    ]


def test_row_in_one_line() -> None:
    row = replace(ROWS[0], encode_fps=12.34, decode_fps=50.0)
    assert describe_row(row).endswith("nvc_s qp 0: 77 bytes, 0.0500 bpp, 30.000 dB, 12.3/50.0 fps")
    assert describe_row(replace(row, error="gone")).endswith("nvc_s qp 0: failed: gone")


def test_viewer_has_fewer_points_where_pictures_are_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "_PICTURE_BYTES", 0)
    _, data = report_of(ROWS, tmp_path)
    pictures = data["clips"]["a </script> clip"]["pictures"]
    assert [p["qp"] for p in pictures if p["codec"] == "nvc_s"] == [0, 2, 3]
