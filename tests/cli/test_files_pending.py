"""Outputs appear under their name only when they are whole."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from nvc.errors import MediaError
from nvc.files.pending import check_target, pending_file, pending_path


def test_a_whole_file_is_renamed(tmp_path: Path) -> None:
    target = tmp_path / "a.mp4"
    with pending_path(target) as part:
        part.write_bytes(b"whole")
        assert part.parent == tmp_path
        assert part.suffix == ".mp4"
        assert not target.exists()
    assert target.read_bytes() == b"whole"
    assert list(tmp_path.iterdir()) == [target]


def test_a_failed_file_goes(tmp_path: Path) -> None:
    target = tmp_path / "a.nvc"
    target.write_bytes(b"before")

    def write_half() -> None:
        with pending_file(target) as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert target.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [target]


def test_what_a_killed_run_left_is_taken_over(tmp_path: Path) -> None:
    target = tmp_path / "a.nvc"
    (tmp_path / ".nvc-part.a.nvc").write_bytes(b"left over, and longer than the new content")
    with pending_file(target) as file:
        file.write(b"new")
    assert target.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [target]


def test_two_runs_on_one_output(tmp_path: Path) -> None:
    target = tmp_path / "a.nvc"
    with pending_file(target) as file:
        with (
            pytest.raises(MediaError, match=rf"^cannot write {target}: another run is writing it$"),
            pending_file(target),
        ):
            pass
        file.write(b"first")
    assert target.read_bytes() == b"first"


def test_a_link_keeps_pointing(tmp_path: Path) -> None:
    real, link = tmp_path / "real.nvc", tmp_path / "link.nvc"
    real.write_bytes(b"before")
    link.symlink_to(real)
    with pending_file(link) as file:
        file.write(b"after")
    assert link.is_symlink()
    assert real.read_bytes() == b"after"


def test_errors_name_the_target(tmp_path: Path) -> None:
    target = tmp_path / "a.mp4"
    with pytest.raises(MediaError) as caught, pending_path(target) as part:
        raise MediaError(f"cannot write {part}: disk on fire")
    assert str(caught.value) == f"cannot write {target}: disk on fire"


def test_standard_output(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr("sys.stdout", out)
    with pending_file("-") as file:
        file.write(b"data")
    out.buffer.seek(0)
    assert out.buffer.read() == b"data"
    check_target("-", "-")


def test_an_existing_file_may_be_replaced_on_request(tmp_path: Path) -> None:
    target = tmp_path / "a.nvc"
    target.write_bytes(b"")
    with pytest.raises(MediaError, match="it exists already"):
        check_target(target)
    check_target(target, overwrite=True)
