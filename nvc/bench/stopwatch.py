"""What coding costs: wall seconds, processor seconds, memory."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from nvc.errors import NvcError

_CLEAR_REFS = Path("/proc/self/clear_refs")
_MIB = 1 << 20


class Stopwatch:
    """Adds up the time spent inside `with` blocks, and the highest memory of the process during them.

    Processor seconds are those of all threads of this process. `peak_mib` is the resident memory of the whole
    process, interpreter and libraries included; None where the system does not tell (not Linux).
    """

    def __init__(self) -> None:
        self.wall_s = 0.0
        self.cpu_s = 0.0
        self.peak_mib: float | None = None
        self._started = (0.0, 0.0)
        self._used = False

    def __enter__(self) -> Stopwatch:
        if not self._used:
            self._used = True
            with contextlib.suppress(OSError):
                _CLEAR_REFS.write_text("5")  # resets the high-water mark (proc(5))
        self._started = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.wall_s += time.perf_counter() - self._started[0]
        self.cpu_s += time.process_time() - self._started[1]
        self.peak_mib = _highest_memory("self")

    def run(self, command: Sequence[str], log: Path, timeout_s: float) -> None:
        """Run a program to its end and add its time; its output goes to `log`.

        Raises NvcError with the last line of its output if it fails or takes too long.
        """
        start = time.perf_counter()
        with log.open("wb") as output:
            try:
                process = subprocess.Popen(
                    list(command), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
                )
            except OSError as exc:
                raise NvcError(f"cannot run {command[0]}: {exc.strerror}") from exc
            status, cpu_s, peak_mib = _wait(process, start + timeout_s)
        self.wall_s += time.perf_counter() - start
        self.cpu_s += cpu_s
        self.peak_mib = max(self.peak_mib or 0.0, peak_mib) or None
        name = Path(command[0]).name
        if status is None:
            raise NvcError(f"{name} was stopped after {timeout_s:.0f} s")
        if status:
            raise NvcError(f"{name} ended with status {status}: {_last_line(log)}")


def _wait(process: subprocess.Popen[bytes], deadline: float) -> tuple[int | None, float, float]:
    """Wait until the program ends or the deadline; returns exit status (None: stopped), CPU seconds, MiB.

    The system's own maximum (ru_maxrss) counts this process in, as it was when it started the program.
    """
    stopped, peak_mib = False, 0.0
    try:
        while True:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            peak_mib = _highest_memory(str(process.pid)) or peak_mib
            if time.perf_counter() > deadline and not stopped:
                stopped = True
                process.kill()
            time.sleep(0.005)
    except BaseException:
        process.kill()
        process.wait()
        raise
    process.returncode = os.waitstatus_to_exitcode(status)
    code = None if stopped else process.returncode
    return code, usage.ru_utime + usage.ru_stime, peak_mib


def _highest_memory(process: str) -> float | None:
    with contextlib.suppress(OSError):
        found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc", process, "status").read_text())
        if found:
            return int(found[1]) * 1024 / _MIB
    return None


def _last_line(log: Path) -> str:
    lines = log.read_text("utf-8", "replace").split("\n")
    spoken = [line.strip() for line in lines if line.strip()]
    return spoken[-1][:200] if spoken else "it said nothing"
