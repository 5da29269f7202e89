"""An encode that is stopped half-way leaves no output, and nothing that blocks the next run."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("number", "exit_code", "line"),
    [
        (signal.SIGKILL, -signal.SIGKILL, ""),
        (signal.SIGTERM, 143, ""),
        (signal.SIGINT, 130, "Interrupted\n"),
    ],
)
def test_a_stopped_encode(
    tiny_model: str, tmp_path: Path, number: signal.Signals, exit_code: int, line: str
) -> None:
    target = tmp_path / "a.nvc"
    arguments = [
        sys.executable,
        "-m",
        "nvc_cli",
        "encode",
        "-",
        str(target),
        "--model",
        tiny_model,
        "--threads",
        "1",
    ]
    header = b"YUV4MPEG2 W64 H48 F25:1 Ip A1:1 C420jpeg\n"
    picture = b"FRAME\n" + bytes(64 * 48 * 3 // 2)
    # Standard input stays open, so the run waits for more frames until it is stopped.
    process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=False)
    assert process.stdin is not None
    assert process.stderr is not None
    process.stdin.write(header + 40 * picture)
    process.stdin.flush()
    part = tmp_path / f".nvc-part.{target.name}"
    deadline = time.monotonic() + 60
    while not part.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert part.exists()
    process.send_signal(number)
    assert process.wait(60) == exit_code
    assert process.stderr.read().decode() == line
    process.stdin.close()
    process.stderr.close()
    assert not target.exists()
    assert part.exists() == (number == signal.SIGKILL)
    done = subprocess.run(arguments, input=header + 2 * picture, stderr=subprocess.PIPE, timeout=60)
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.iterdir()) == [target]
