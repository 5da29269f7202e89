"""What a command says while it works."""

from __future__ import annotations

import time

import pytest

from nvc.files.summary import FrameReport
from nvc_cli import report

FRAME = FrameReport(1, 2, None, "I", 30, 100, 0.0)


@pytest.mark.parametrize(
    ("quiet", "is_done", "n_notes"), [(False, False, 1), (False, True, 0), (True, False, 0)]
)
def test_it_says_why_nothing_happens_yet(
    quiet: bool,
    is_done: bool,
    n_notes: int,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(report, "_PATIENCE_S", 0.3)
    with report.Reporter("encoded", quiet=quiet) as reporter:
        if is_done:
            reporter.on_frame(FRAME)
        time.sleep(0.6)
    assert capsys.readouterr().err.count("Note: no frame is done yet") == n_notes


def test_who_ends_soon_is_told_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "_PATIENCE_S", 0.3)
    with report.Reporter("encoded"):
        pass
    time.sleep(0.6)
    assert not capsys.readouterr().err
