"""Stop, starve and cheat `nvc encode` and `nvc decode` in every way at hand, and see what they leave behind.

    python benchmarks/faults.py [--model tiny] [--only WORD] > benchmarks/results/faults.md

Prints a table: the fault, the exit code, what standard error said last, and what is left beside the inputs.
Each fault has an expectation; exits with 1 if one is not met. After each, the same command is run again
undisturbed and has to succeed.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import nvc  # noqa: E402
from nvc.media import VideoInfo, open_output  # noqa: E402
from nvc.media.synthetic import natural_clip  # noqa: E402

COMMAND = [sys.executable, "-m", "nvc_cli"]
WIDTH, HEIGHT, N_FRAMES = 128, 96, 360


@dataclass(frozen=True)
class Outcome:
    """How a command ended: its exit code, its last line on standard error, the names it left."""

    exit_code: int
    line: str
    left: tuple[str, ...]


Provoke = Callable[[Path], Outcome]
"""Runs a command in a folder and spoils it."""


@dataclass(frozen=True)
class Case:
    """A fault and what has to come of it: exit code, part of the line, what may be left."""

    name: str
    provoke: Provoke
    exit_code: int
    line: str
    left: tuple[str, ...] = ()


class Bench:
    """Knows the inputs, and runs commands in folders of their own."""

    def __init__(self, folder: Path, model: str) -> None:
        self.clip, self.stream = folder / "clip.mp4", folder / "clip.nvc"
        quietly = ["--threads", "1", "--quiet"]
        coding = ["--model", model, "--keyint", "20", *quietly]
        self.encode = ["encode", str(self.clip), "out.nvc", *coding]
        self.decode = ["decode", str(self.stream), "out.mp4", *quietly]
        with open_output(self.clip, VideoInfo(WIDTH, HEIGHT, Fraction(1, 25), Fraction(25))) as writer:
            for frame in natural_clip(WIDTH, HEIGHT, N_FRAMES, seed=3):
                writer.write(frame)
        nvc.encode(self.clip, self.stream, nvc.EncoderConfig(model=model, keyint=20, threads=1))

    def stopped(self, arguments: list[str], number: signal.Signals, after_s: float) -> Provoke:
        """Send a signal to the whole process group, as a terminal does, so long after the output appeared."""

        def provoke(folder: Path) -> Outcome:
            process = start(arguments, folder, start_new_session=True)
            if after_s >= 0:
                wait_for(lambda: any(folder.glob(".nvc-part.*")) or process.poll() is not None)
            time.sleep(abs(after_s))
            if number == signal.SIGKILL:
                process.kill()  # the parent alone: the workers have to notice
            else:
                os.killpg(process.pid, number)
            outcome = end(process, folder)
            wait_for(lambda: not group_members(process.pid))
            return outcome

        return provoke

    def limited(self, arguments: list[str], n_bytes: int) -> Provoke:
        """Let files grow to so many bytes at most."""

        def limit() -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, n_bytes))

        return lambda folder: end(start(arguments, folder, preexec_fn=limit), folder)

    def full_disk(self, arguments: list[str], size: str) -> Provoke:
        """Write to a small file system."""

        def provoke(folder: Path) -> Outcome:
            with small_disk(folder, size):
                return end(start(arguments, folder), folder)

        return provoke

    def cheated(self, arguments: list[str], source: Path, change: Callable[[Path], None]) -> Provoke:
        """Change a copy of the input while it is being read."""

        def provoke(folder: Path) -> Outcome:
            copy = folder / f"in{source.suffix}"
            copy.write_bytes(source.read_bytes())
            with_copy = [str(copy) if word == str(source) else word for word in arguments]
            process = start(with_copy, folder)
            wait_for(lambda: any(folder.glob(".nvc-part.*")) or process.poll() is not None)
            change(copy)
            outcome = end(process, folder)
            copy.unlink(missing_ok=True)
            return Outcome(outcome.exit_code, outcome.line, names_in(folder))

        return provoke

    def closed_pipe(self, arguments: list[str], n_bytes: int) -> Provoke:
        """Read so much of standard output, then leave."""

        def provoke(folder: Path) -> Outcome:
            process = start(arguments, folder, stdout=subprocess.PIPE)
            assert process.stdout is not None
            process.stdout.read(n_bytes)
            process.stdout.close()
            return end(process, folder)

        return provoke

    def cases(self) -> Iterator[Case]:
        """All faults, with and without workers."""
        for verb, base, part in (
            ("encode", self.encode, ".nvc-part.out.nvc"),
            ("decode", self.decode, ".nvc-part.out.mp4"),
        ):
            for jobs in (1, 2):
                arguments = [*base, "--jobs", str(jobs)]
                for after_s in (-0.3, 0.0, 1.0):
                    when = f"{after_s:g} s after the output began" if after_s >= 0 else "at the start"
                    what = f"{verb}, {jobs} jobs, {when}"
                    left = (part,) if after_s >= 0 else ()
                    kill, interrupt, terminate = (
                        self.stopped(arguments, number, after_s)
                        for number in (signal.SIGKILL, signal.SIGINT, signal.SIGTERM)
                    )
                    yield Case(f"kill -9: {what}", kill, -9, "", left)
                    if after_s >= 0:
                        yield Case(f"Ctrl-C: {what}", interrupt, 130, "Interrupted")
                        yield Case(f"SIGTERM: {what}", terminate, 143, "")
            words = [*base, "--jobs", "1"]
            line = f"cannot write out.{'nvc' if verb == 'encode' else 'mp4'}: "
            yield Case(f"file too large: {verb}", self.limited(words, 4000), 1, line + "file too large")
            yield Case(f"full disk: {verb}", self.full_disk(words, "4k"), 1, line + "no space left on device")
        half = N_FRAMES * WIDTH * HEIGHT // 2
        to_pipe = [word if word != "out.nvc" else "-" for word in self.encode]
        yield Case("closed pipe: encode", self.closed_pipe(to_pipe, 100), 1, "broken pipe")
        to_pipe = [word if word != "out.mp4" else "-" for word in self.decode]
        yield Case("closed pipe: decode", self.closed_pipe(to_pipe, half), 1, "broken pipe")
        cut, zeroed = (lambda path: os.truncate(path, path.stat().st_size * 2 // 3)), overwrite_tail
        yield Case(
            "input cut while it is read: decode",
            self.cheated(self.decode, self.stream, cut),
            1,
            "kept the ",
            ("out.mp4",),
        )
        yield Case(
            "input overwritten while it is read: decode",
            self.cheated(self.decode, self.stream, zeroed),
            1,
            "kept the ",
            ("out.mp4",),
        )
        yield Case(
            "input removed while it is read: decode",
            self.cheated(self.decode, self.stream, Path.unlink),
            0,
            "",
            ("out.mp4",),
        )


def start(arguments: list[str], folder: Path, **options: object) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(  # type: ignore[call-overload,no-any-return]
        [*COMMAND, *arguments], cwd=folder, env=environment, stderr=subprocess.PIPE, **options
    )


def end(process: subprocess.Popen[bytes], folder: Path) -> Outcome:
    assert process.stderr is not None
    lines = process.stderr.read().decode().strip().splitlines()
    if any(line.startswith("Traceback") for line in lines):
        lines.append("TRACEBACK: " + lines[-1])
    return Outcome(process.wait(120), lines[-1] if lines else "", names_in(folder))


def names_in(folder: Path) -> tuple[str, ...]:
    return tuple(sorted(path.name for path in folder.iterdir() if not path.name.startswith("in.")))


def group_members(group: int) -> list[int]:
    """Processes of a process group that are still there."""
    done = subprocess.run(["ps", "-o", "pid=", "-g", str(group)], capture_output=True, text=True)
    return [int(word) for word in done.stdout.split()]


def wait_for(condition: Callable[[], bool], timeout_s: float = 120) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("what was waited for did not come")
        time.sleep(0.02)


def overwrite_tail(path: Path) -> None:
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 3)
        file.write(bytes(size - size // 3))


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--only", default="", help="only cases whose name has this in it")
    options = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    n_bad = 0
    print("| verdict | fault | exit code | last line on standard error | left behind |")
    print("| --- | --- | ---: | --- | --- |")
    with tempfile.TemporaryDirectory() as work:
        bench = Bench(Path(work), options.model)
        for number, case in enumerate(bench.cases()):
            if options.only not in case.name:
                continue
            folder = Path(work) / f"case{number}"
            folder.mkdir()
            try:
                outcome = case.provoke(folder)
            except (OSError, subprocess.SubprocessError) as error:
                print(f"| not run | {case.name} | | {error} | |", flush=True)
                continue
            good = (outcome.exit_code, outcome.left) == (case.exit_code, case.left) and (
                case.line in outcome.line if case.line else not outcome.line
            )
            if case.left == () or case.left[0].startswith("."):
                base = bench.encode if "encode" in case.name else bench.decode
                again = end(start([*base, "-n", "2"], folder), folder)
                good = good and again.exit_code == 0 and again.left == (base[2],)
            n_bad += not good
            left = ", ".join(outcome.left) or "nothing"
            verdict = "good" if good else "BAD"
            cells = verdict, case.name, str(outcome.exit_code), outcome.line, left
            print(f"| {' | '.join(cells)} |", flush=True)
    print(f"\n{n_bad} bad")
    return 1 if n_bad else 0


if __name__ == "__main__":
    sys.exit(main())
