"""The report in a real browser: its script fills the page, and the slider follows the pointer."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from bench_samples import curve_rows

from nvc.bench import bd_table
from nvc.bench.measure import save_picture
from nvc.bench.report import write_report
from nvc.bench.runner import picture_path, source_path
from nvc.media.synthetic import natural_clip

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRAG = """<script>
const box = at("stage").getBoundingClientRect();
at("stage").dispatchEvent(new PointerEvent("pointerdown", {clientX: box.left + box.width / 4, buttons: 1}));
</script>"""


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_report_in_a_browser(tmp_path: Path) -> None:
    rows = curve_rows("scene", "nvc_s", 0.5) + curve_rows("scene", "x264_medium_ld")
    (frame,) = natural_clip(64, 48, 1)
    for row in rows:
        save_picture(frame, picture_path(tmp_path, row))
    save_picture(frame, source_path(tmp_path, "scene"))
    page = write_report(rows, bd_table(rows, ["x264_medium_ld"], ["nvc_s"]), tmp_path, [])
    page.write_text(page.read_text() + DRAG)
    document = dom(page, tmp_path / "profile")
    assert re.search(r'id="handle" style="left: 25%', document)
    assert re.search(r'id="right"[^>]* style="clip-path: inset\(0px 0px 0px 25%\)', document)
    assert "x264_medium_ld at 100 % of the left one's bits" in document
    assert document.count('<polyline fill="none" stroke="#') == 2
    assert document.count("<option") == 1 + 4 + 2


def dom(page: Path, profile: Path) -> str:
    """What a page has become after its script ran, without a network."""
    assert CHROMIUM is not None
    flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--dump-dom"]
    flags += [
        "--host-resolver-rules=MAP * ~NOTFOUND",
        f"--user-data-dir={profile}",
        "--virtual-time-budget=5000",
    ]
    done = subprocess.run(
        [CHROMIUM, *flags, page.as_uri()], capture_output=True, text=True, check=True, timeout=100
    )
    return done.stdout
