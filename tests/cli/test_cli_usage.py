"""Wrong usage is exit code 2 with the value and what is allowed; help and versions need no torch."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest
from click.testing import CliRunner

import nvc as library
from bitstream_spec import FORMAT_VERSION
from nvc_cli.__main__ import nvc

COMMANDS = ["bench", "decode", "demo", "encode", "export", "info", "train", "verify"]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["encode"], "Missing argument 'INPUT'"),
        (["encode", "a.mp4", "b.nvc", "-q", "64"], "64 is not in the range 0<=x<=63"),
        (["encode", "a.mp4", "b.nvc", "--keyint", "0"], "0 is neither positive nor -1"),
        (["encode", "a.mp4", "b.nvc", "--preset", "turbo"], "'turbo' is not one of"),
        (["encode", "a.mp4", "b.nvc", "-n", "0"], "0 is not in the range x>=1"),
        (["encode", "a.mp4", "b.nvc", "-q", "9", "--bitrate", "1M"], "--qp and --bitrate exclude each other"),
        (
            ["encode", "a.mp4", "b.nvc", "--psnr", "36", "--size", "1M"],
            "--size and --psnr exclude each other",
        ),
        (["encode", "a.mp4", "b.nvc", "--bitrate", "fast"], "'fast' is not an amount such as 500k"),
        (["encode", "a.mp4", "b.nvc", "--bitrate", "0"], "'0' is not an amount"),
        (["encode", "a.mp4", "b.nvc", "--size", "1M", "--passes", "1"], "--size needs --passes 2 or 3"),
        (["encode", "a.mp4", "b.nvc", "--passes", "2"], "--passes needs --bitrate, --size or --psnr"),
        (["encode", "a.mp4", "b.nvc", "--bufsize", "1M"], "--bufsize needs --maxrate"),
        (["encode", "a.mp4", "b.nvc", "--psnr", "100"], "100.0 is not in the range 1<=x<=99"),
        (["encode", "a.mp4", "b.nvc", "--roi-strength", "64"], "64 is not in the range 0<=x<=63"),
        (["encode", "a.mp4", "b.nvc", "--importance", "vmaf"], "'vmaf' is not 'ms-ssim'"),
        (["encode", "a.mp4", "-", "--json"], "OUTPUT and json cannot both go to standard output"),
        (["encode", "a.mp4", "-", "--recon", "-"], "OUTPUT and recon cannot both go to standard output"),
        (["decode", "a.nvc", "b.mp4", "--start", "-1"], "-1.0 is not in the range x>=0"),
        (["decode", "a.nvc", "b.mp4", "--duration", "0"], "0.0 is not in the range x>0"),
        (["decode", "a.nvc", "b.mp4", "--crf", "52"], "52.0 is not in the range 0<=x<=51"),
        (["info"], "Give either INPUT or --models"),
        (["info", "a.nvc", "--models"], "Give either INPUT or --models"),
        (["verify", "a.nvc", "--device", "tpu"], "'tpu' is not one of"),
        (["train", "no-such-recipe.toml"], "does not exist"),
        (["transmogrify"], "No such command 'transmogrify'"),
    ],
)
def test_wrong_usage(arguments: list[str], line: str) -> None:
    result = CliRunner().invoke(nvc, arguments)
    assert result.exit_code == 2
    assert line in result.output
    assert "Traceback" not in result.output


def test_help_lists_the_commands() -> None:
    result = CliRunner().invoke(nvc, ["--help"])
    assert result.exit_code == 0
    assert [name for name in COMMANDS if f"\n  {name} " in result.output] == COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str) -> None:
    result = CliRunner().invoke(nvc, [command, "-h"])
    assert result.exit_code == 0
    assert result.output.startswith(f"Usage: nvc {command}")


def test_version_names_package_and_format() -> None:
    result = CliRunner().invoke(nvc, ["-V"])
    assert result.exit_code == 0
    assert result.output == f"nvc {library.__version__}, stream format {FORMAT_VERSION}\n"


def test_help_waits_for_nothing_heavy() -> None:
    program = (
        "import sys\n"
        "from nvc_cli.__main__ import nvc\n"
        "try:\n"
        "    nvc(['--help'])\n"
        "except SystemExit:\n"
        "    heavy = {'torch', 'numpy', 'av', 'cv2', 'tqdm', 'construct'}\n"
        "    print(heavy & set(sys.modules), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "set()"


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's malloc is told")
def test_large_buffers_go_back_to_the_system() -> None:
    program = """
import ctypes, os
from nvc_cli import __main__ as command

class Use(ctypes.Structure):
    names = *"abcd", "hblkhd", *"fghij"
    _fields_ = [(name, ctypes.c_size_t) for name in names]

libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes, libc.mallinfo2.restype = [ctypes.c_void_p], Use
command._arrange_memory()
for _ in range(3 if "MALLOC_MMAP_THRESHOLD_" in os.environ else 0):  # by itself malloc would learn otherwise
    before = libc.mallinfo2().hblkhd
    small, large = libc.malloc(2**22), libc.malloc(2**23)
    assert 2**23 <= libc.mallinfo2().hblkhd - before < 2**23 + 2**16
    libc.free(small), libc.free(large)
    assert libc.mallinfo2().hblkhd == before
"""
    subprocess.run([sys.executable, "-c", program], check=True)
