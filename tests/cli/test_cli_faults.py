"""Each fault is one clear line and exit code 1, and leaves nothing half done behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bitstream_spec import StreamReader
from nvc_cli.__main__ import nvc


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(nvc, [str(argument) for argument in arguments])


def assert_fails(result: Result, line: str) -> None:
    assert (result.exit_code, result.output) == (1, f"Error: {line}\n")


def test_input_that_is_not_there(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    assert_fails(run("encode", missing, tmp_path / "a.nvc"), f"cannot read {missing}: no such file")
    line = f"cannot read {missing}: no such file or directory"
    assert_fails(run("decode", missing, tmp_path / "a.mkv"), line)
    assert_fails(run("info", missing), line)
    assert_fails(run("verify", missing), line)
    assert not list(tmp_path.iterdir())


def test_input_that_is_a_folder(tmp_path: Path) -> None:
    assert_fails(run("info", tmp_path), f"cannot read {tmp_path}: is a directory")


@pytest.mark.parametrize("content", [b"", b"not a stream", bytes(1000)])
def test_input_that_is_no_stream(tmp_path: Path, content: bytes) -> None:
    other = tmp_path / "other.nvc"
    other.write_bytes(content)
    line = (
        "not an nvc stream: the file does not begin with its signature"
        if content
        else "stream ends within its header, after 0 bytes"
    )
    assert_fails(run("decode", other, tmp_path / "a.mkv"), line)
    assert_fails(run("info", other), line)
    assert_fails(run("verify", other), line)
    assert list(tmp_path.iterdir()) == [other]


def test_input_that_is_no_video(tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("these are words, not pictures\n" * 100)
    result = run("encode", text, tmp_path / "a.nvc")
    assert result.exit_code == 1
    assert result.output.startswith(f"Error: cannot read {text}: ")
    assert list(tmp_path.iterdir()) == [text]


def test_output_that_exists(tmp_path: Path, clip: Path, hollow_stream: Path) -> None:
    there = tmp_path / "there.mkv"
    there.write_text("precious")
    line = f"cannot write {there}: it exists already; -y (overwrite=True) replaces it"
    assert_fails(run("encode", clip, there), line)
    assert_fails(run("decode", hollow_stream, there), line)
    assert there.read_text() == "precious"


def test_output_that_is_the_input(tmp_path: Path, hollow_stream: Path) -> None:
    before = hollow_stream.read_bytes()
    result = run("decode", hollow_stream, tmp_path / "." / hollow_stream.name, "-y")
    assert result.exit_code == 1
    assert "it is also the file" in result.output
    link = tmp_path / "link.nvc"
    link.hardlink_to(hollow_stream)
    assert "it is also the file" in run("decode", hollow_stream, link, "-y").output
    assert hollow_stream.read_bytes() == before


def test_output_in_a_folder_that_is_not_there(tmp_path: Path, clip: Path) -> None:
    folder = tmp_path / "missing"
    assert_fails(
        run("encode", clip, folder / "a.nvc"), f"cannot write {folder / 'a.nvc'}: there is no folder {folder}"
    )


def test_output_that_is_a_folder(tmp_path: Path, clip: Path) -> None:
    assert_fails(run("encode", clip, tmp_path), f"cannot write {tmp_path}: it is a folder")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_output_in_a_folder_that_cannot_be_written(tmp_path: Path, clip: Path, tiny_model: str) -> None:
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o500)
    line = f"cannot write {folder / 'a.nvc'}: permission denied"
    assert_fails(run("encode", clip, folder / "a.nvc", "--model", tiny_model), line)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_disk(clip: Path, tiny_model: str) -> None:
    result = run("encode", clip, "/dev/full", "--model", tiny_model, "-n", "1", "--threads", "1")
    assert_fails(result, "cannot write /dev/full: no space left on device")


def test_no_space_half_way(clip: Path, stream: Path, tiny_model: str, tmp_path: Path) -> None:
    pytest.importorskip("resource")
    coded, shown = tmp_path / "a.nvc", tmp_path / "a.mp4"
    encode = ["encode", str(clip), str(coded), "--model", tiny_model, "-q", "10", "--threads", "1", "--quiet"]
    decode = ["decode", str(stream), str(shown), "--threads", "1", "--quiet"]
    program = (
        "import resource\n"
        "from click.testing import CliRunner\n"
        "from nvc_cli.__main__ import nvc\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (600, 600))  # bytes of a file\n"
        f"for line in {encode!r}, {decode!r}:\n"
        "    result = CliRunner().invoke(nvc, line)\n"
        "    print(result.exit_code, result.output, end='')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=300, text=True)
    assert done.stdout.splitlines() == [
        f"1 Error: cannot write {coded}: file too large",
        f"1 Error: cannot write {shown}: file too large",
    ], done.stderr
    assert not list(tmp_path.iterdir())


def test_input_that_is_cut_while_it_is_read(stream: Path, tmp_path: Path) -> None:
    import nvc as library

    source, target = tmp_path / "in.nvc", tmp_path / "out.mkv"
    source.write_bytes(stream.read_bytes() + bytes(2**20))  # more than is read at once
    summary = library.decode(source, target, threads=1, on_frame=lambda _: os.truncate(source, 0))
    assert summary.fault is not None
    assert target.exists()


def test_model_that_is_not_installed(tmp_path: Path, clip: Path, hollow_stream: Path) -> None:
    result = run("encode", clip, tmp_path / "a.nvc", "--model", "none")
    assert result.exit_code == 1
    assert result.output.startswith("Error: weights 'none' are not installed")
    result = run("decode", hollow_stream, tmp_path / "a.mkv")
    assert result.exit_code == 1
    assert result.output.startswith(f"Error: weights '{bytes(8).hex()}' are not installed")
    assert list(tmp_path.iterdir()) == [hollow_stream]


def test_suffix_that_says_nothing(tmp_path: Path, stream: Path) -> None:
    target = tmp_path / "out.film"
    result = run("decode", stream, target, "--threads", "1")
    assert result.exit_code == 1
    assert result.output.startswith(f"Error: cannot tell the format of {target} by its suffix")
    assert not list(tmp_path.iterdir())


def test_no_frames_left(tmp_path: Path, clip: Path, stream: Path, tiny_model: str) -> None:
    result = run("encode", clip, tmp_path / "a.nvc", "--skip", "99", "--model", tiny_model)
    assert_fails(result, f"cannot encode {clip}: no frames are left of it")
    result = run("decode", stream, tmp_path / "a.mkv", "--start", "99")
    assert_fails(result, f"cannot decode {stream}: no frame is in that part of it")
    assert not list(tmp_path.iterdir())


def test_stream_that_was_cut(tmp_path: Path, stream: Path) -> None:
    cut = tmp_path / "cut.nvc"
    cut.write_bytes(stream.read_bytes()[: stream.stat().st_size * 2 // 3])
    whole = tmp_path / "whole.mkv"
    result = run("decode", cut, whole, "--threads", "1", "--quiet")
    assert result.exit_code == 1
    assert "stream ends without its trailer after" in result.output
    assert whole.exists()
    assert "not finished" in run("verify", cut, "--threads", "1").output
    assert "cut short or never finished" in run("info", cut).output


def test_stream_with_a_flipped_byte(tmp_path: Path, stream: Path) -> None:
    damaged = tmp_path / "damaged.nvc"
    data = bytearray(stream.read_bytes())
    data[len(data) // 2] ^= 0x10
    damaged.write_bytes(data)
    assert run("verify", damaged, "--threads", "1").exit_code == 1
    assert run("info", damaged).exit_code == 0, "it is inside of a payload and shows in decoding"
    result = run("decode", damaged, tmp_path / "whole.mkv", "--threads", "1")
    assert result.exit_code == 1
    assert result.output.splitlines()[-1].startswith("Error: ")
    assert "is damaged, or decodes to something else than its encoder had" in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize("offset", [0, 1, 2, 3, 12])
def test_stream_with_a_flipped_byte_outside_of_payloads(tmp_path: Path, stream: Path, offset: int) -> None:
    data = bytearray(stream.read_bytes())
    with stream.open("rb") as file:
        data[StreamReader(file).read_seek_index()[1].byte_offset + offset] ^= 0x10
    damaged = tmp_path / "damaged.nvc"
    damaged.write_bytes(data)
    for command in ("verify", "info"):
        assert run(command, damaged).exit_code == 1


def test_unexpected_errors_are_one_line_too(monkeypatch: pytest.MonkeyPatch, hollow_stream: Path) -> None:
    def broken(_: str, **_options: object) -> None:
        raise ZeroDivisionError("seven by nought")

    monkeypatch.delenv("NVC_TRACEBACK", raising=False)
    monkeypatch.setattr("nvc.read_info", broken)
    assert_fails(
        run("info", hollow_stream),
        "ZeroDivisionError: seven by nought (a fault of nvc; NVC_TRACEBACK=1 shows where)",
    )
    monkeypatch.setenv("NVC_TRACEBACK", "1")
    assert isinstance(run("info", hollow_stream).exception, ZeroDivisionError)


def test_interrupt(monkeypatch: pytest.MonkeyPatch, hollow_stream: Path) -> None:
    def interrupted(_: str, **_options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("nvc.read_info", interrupted)
    result = run("info", hollow_stream)
    assert (result.exit_code, result.output) == (130, "Interrupted\n")
