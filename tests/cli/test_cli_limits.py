"""What a stranger's file may cost: sizes are refused before memory is taken for them."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bitstream_spec import (
    FramePacket,
    FrameType,
    Limits,
    StreamHeader,
    StreamWriter,
    Substream,
)
from nvc_cli.__main__ import nvc

ROOT = Path(__file__).resolve().parents[2]
KILOBYTES_MAX = 1_000_000
"""Address space, much of it shared libraries'; one plane of the claimed picture takes four times that."""
BYTES_PER_PIXEL_MAX = 500
LAYER = Substream(bytes(range(1, 60)))


def write_bomb(path: Path, width: int, height: int, model_id: bytes = bytes(8)) -> Path:
    """Two frames that claim this size in some three hundred bytes."""
    header = StreamHeader(model_id, "tiny", width, height, Fraction(1, 25))
    with path.open("wb") as file, StreamWriter(file, header, Limits(max_pixels=2**32)) as writer:
        writer.write_gop(0)
        writer.write_frame(FramePacket(FrameType.I, 0, 1, 20, (LAYER,)))
        writer.write_frame(FramePacket(FrameType.P, 1, 1, 20, (LAYER,)))
    assert path.stat().st_size < 500
    return path


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(nvc, [str(argument) for argument in arguments])


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit on address space")
@pytest.mark.parametrize("command", ["info", "verify", "decode"])
def test_an_absurd_size_costs_no_memory(tmp_path: Path, command: str) -> None:
    bomb = write_bomb(tmp_path / "bomb.nvc", 65535, 65535)
    arguments = [sys.executable, "-m", "nvc_cli", command, str(bomb)]
    if command == "decode":
        arguments.append(str(tmp_path / "out.mkv"))
    limited = ["sh", "-c", f'ulimit -v {KILOBYTES_MAX} && exec "$@"', "sh", *arguments]
    result = subprocess.run(limited, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (
        1,
        "Error: picture size of 65535x65535 pixels is 4294836225, over the limit of 33554432; "
        "raise max_pixels if you trust the file\n",
    )
    assert list(tmp_path.iterdir()) == [bomb]


MEASURE = """
import sys
from pathlib import Path
from bitstream_spec import FramePacket, StreamReader
from nvc.decoder import Decoder

def peak_bytes():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))

for path in sys.argv[1:]:
    before = peak_bytes()
    with open(path, "rb") as file:
        reader = StreamReader(file)
        decoder = Decoder(reader.header, threads=1, verify=False)
        for item in reader:
            if isinstance(item, FramePacket):
                frame = decoder.decode(item)
print((peak_bytes() - before) / frame.y.size)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_memory_follows_the_picture(tmp_path: Path, tiny_model: str) -> None:
    """The limit on pixels is a limit on memory: payloads that lie about their symbols add nothing."""
    from nvc.model_store import find_model

    model_id = bytes.fromhex(find_model(tiny_model).model_id)
    paths = [
        write_bomb(tmp_path / f"{width}.nvc", width, height, model_id)
        for width, height in [(64, 64), (1024, 512)]
    ]
    result = subprocess.run(
        [sys.executable, "-c", MEASURE, *map(str, paths)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert 10 < float(result.stdout) < BYTES_PER_PIXEL_MAX


def test_limits_can_be_set(tmp_path: Path, clip: Path, stream: Path, tiny_model: str) -> None:
    too_large = "picture size of 64x48 pixels is 3072, over the limit of 3071; raise max_pixels"
    output = tmp_path / "out.mkv"
    for command in (["info", stream], ["verify", stream], ["decode", stream, output]):
        result = run(*command, "--max-pixels", "3071")
        assert result.exit_code == 1
        assert too_large in result.output
    encode = ["encode", clip, tmp_path / "out.nvc", "--model", tiny_model, "--max-pixels", "3071"]
    assert too_large in run(*encode).output
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["info", "verify", "decode", "extract"])
def test_any_limit_can_be_set(tmp_path: Path, stream: Path, command: str) -> None:
    output = {"decode": [tmp_path / "a.y4m"], "extract": [tmp_path / "a.nvc", "--layers", "1"]}.get(
        command, []
    )
    result = run(command, stream, *output, "--limit", "max_unit_bytes=50")
    assert result.exit_code == 1
    assert "over the limit of 50; raise max_unit_bytes" in result.output
    result = run(command, stream, *output, "--limit", "max_header_bytes=9", "--limit", "max_pixels=9999")
    assert "raise max_header_bytes" in result.output


@pytest.mark.parametrize(
    "value", ["max_bytes=3", "max_frames", "max_frames=0", "max_frames=-1", "max_frames=x"]
)
def test_a_limit_that_is_none(stream: Path, value: str) -> None:
    result = run("info", stream, "--limit", value)
    assert result.exit_code == 2
    assert "is not NAME=NUMBER; names are max_pixels, max_header_bytes" in result.output


def test_help_tells_the_default() -> None:
    assert f"2^{Limits().max_pixels.bit_length() - 1}" in run("decode", "--help").output
    assert Limits().max_pixels.bit_count() == 1


def test_limit_on_frames_keeps_those_before_it(tmp_path: Path, stream: Path) -> None:
    too_long = "number of frames is 6, over the limit of 5; raise max_frames if you trust the file"
    output = tmp_path / "out.y4m"
    result = run("decode", stream, output, "--max-frames", "5", "--quiet", "--threads", "1")
    assert (result.exit_code, result.output) == (
        1,
        f"Error: {too_long} (kept the 5 frames before it in {output})\n",
    )
    assert output.read_bytes().count(b"FRAME\n") == 5
    assert too_long in run("info", stream, "--max-frames", "5").output
    result = run("verify", stream, "--max-frames", "5", "--quiet", "--threads", "1")
    assert (result.exit_code, result.output) == (1, f"Error: {too_long}\n")
