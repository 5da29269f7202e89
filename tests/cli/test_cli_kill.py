"""A command that is stopped half-way leaves no output, and nothing that blocks the next run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

HEADER = b"YUV4MPEG2 W64 H48 F25:1 Ip A1:1 C420jpeg\n"
PICTURE = b"FRAME\n" + bytes(64 * 48 * 3 // 2)


@pytest.mark.parametrize(
    ("verb", "jobs", "number", "exit_code", "line"),
    [
        ("encode", 1, signal.SIGKILL, -signal.SIGKILL, ""),
        ("encode", 1, signal.SIGTERM, 143, ""),
        ("encode", 2, signal.SIGINT, 130, "Interrupted\n"),
        ("decode", 1, signal.SIGINT, 130, "Interrupted\n"),
    ],
)
def test_a_stopped_command(
    tiny_model: str,
    stream: Path,
    tmp_path: Path,
    verb: str,
    jobs: int,
    number: signal.Signals,
    exit_code: int,
    line: str,
) -> None:
    coded = stream.read_bytes()
    half, whole, name, options = {
        "encode": (HEADER + 40 * PICTURE, HEADER + 2 * PICTURE, "a.nvc", ["--model", tiny_model]),
        "decode": (coded[: len(coded) // 2], coded, "a.mp4", []),
    }[verb]
    target = tmp_path / name
    quietly = ["--threads", "1", "--quiet"]
    arguments = [sys.executable, "-m", "nvc_cli", verb, "-", str(target), *quietly, *options]
    # Standard input stays open, so the run waits for more until it is stopped; Ctrl-C reaches a whole group.
    process = subprocess.Popen(
        [*arguments, "--jobs", str(jobs)],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stderr is not None
    process.stdin.write(half)
    process.stdin.flush()
    part = tmp_path / f".nvc-part.{target.name}"
    deadline = time.monotonic() + 240
    while not part.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert part.exists()
    os.killpg(process.pid, number)
    assert process.wait(240) == exit_code
    assert process.stderr.read().decode() == line
    process.stdin.close()
    process.stderr.close()
    assert not target.exists()
    assert part.exists() == (number == signal.SIGKILL)
    done = subprocess.run(arguments, input=whole, stderr=subprocess.PIPE, timeout=240)
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.iterdir()) == [target]
