"""Coverage-guided fuzzing of nvc's reader; needs atheris (`pip install atheris`), which tests do not.

    python tests/fuzz/run_fuzz.py parser --inputs 1000000 --work runs/fuzz

The targets are those of fuzz_targets.py. Inputs that reach new code gather in the work folder; one that
fails is written there as crash-*: mend the fault and keep the input as regressions/TARGET-FAULT.SUFFIX.
Prints rows of a table: inputs so far, accepted ones, seconds, CPU time of the slowest, peak memory at
first and now.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import sys
import time
from pathlib import Path
from random import Random

import atheris

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

with atheris.instrument_imports(include=["bitstream_spec", "nvc", "fuzz_reference"]):
    import fuzz_targets
    from fuzz_mutator import mutate_stream

    from bitstream_spec.schema import PREAMBLE_LENGTH

SECONDS_MAX = 20
MEGABYTES_MAX = 3000
LENGTH_MAX = 1 << 10
REPORT_EVERY = 50_000
FRESH_SHARE = {"decoder": 0.5}
"""Share of inputs made of a committed stream; those that gather are mostly damaged before the first frame."""
RAW_SHARE = 0.15
"""Share of inputs that keep the checksums which the mutation broke."""


class Tally:
    """Counts inputs and keeps the worst; calling it is calling the target."""

    def __init__(self, name: str, n_inputs: int, work: Path) -> None:
        self._name, self._work, self._n_left = name, work, n_inputs
        self._target = fuzz_targets.TARGETS[name]
        for seed in fuzz_targets.seeds(name):
            self._target(seed.read_bytes())
        self._first_memory = peak_megabytes()
        self._began = time.monotonic()
        self._n_inputs = self._n_accepted = 0
        self._slowest, self._slowest_input = 0.0, b""

    def __call__(self, data: bytes) -> None:
        began = time.process_time()
        self._n_accepted += self._target(data)
        seconds = time.process_time() - began
        self._n_inputs += 1
        self._n_left -= 1
        if seconds > self._slowest:
            self._slowest, self._slowest_input = seconds, data
        if not self._n_left or not self._n_inputs % REPORT_EVERY:  # libFuzzer's end is not Python's
            self.report()

    def report(self) -> None:
        (self._work / f"slowest-{self._name}").write_bytes(self._slowest_input)
        print(
            f"| {self._name} | {self._n_inputs:,} | {self._n_accepted:,} "
            f"| {time.monotonic() - self._began:.0f} s "
            f"| {self._slowest * 1000:.1f} ms | {self._first_memory:.0f} MB | {peak_megabytes():.0f} MB |",
            flush=True,
        )


def peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class StreamMutator:
    """libFuzzer's mutator for targets that take streams."""

    def __init__(self, target: str) -> None:
        self._fresh_share = FRESH_SHARE.get(target, 0.2)
        self._streams = [path.read_bytes() for path in fuzz_targets.seeds(target)]

    def __call__(self, data: bytes, size_max: int, seed: int) -> bytes:
        random = Random(seed)
        if random.random() < self._fresh_share:
            data = random.choice(self._streams)
        if random.random() < RAW_SHARE or len(data) < PREAMBLE_LENGTH:
            return atheris.Mutate(data, size_max)
        return mutate_stream(data, random, lambda part: atheris.Mutate(part, len(part) + 64))[:size_max]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target", choices=fuzz_targets.TARGETS)
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--work", type=Path, default=Path("runs/fuzz"))
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    corpus = options.work / options.target
    corpus.mkdir(parents=True, exist_ok=True)
    for seed in fuzz_targets.seeds(options.target):
        shutil.copy(seed, corpus)
    tally = Tally(options.target, options.inputs, options.work)
    flags = [
        f"-runs={options.inputs}",
        f"-seed={options.seed}",
        f"-timeout={SECONDS_MAX}",
        f"-rss_limit_mb={MEGABYTES_MAX}",
        f"-max_len={LENGTH_MAX}",
        f"-artifact_prefix={options.work}{os.sep}",
        "-len_control=0",
        "-print_final_stats=1",
        "-verbosity=1",
    ]
    own = {} if options.target == "entropy" else {"custom_mutator": StreamMutator(options.target)}
    atheris.Setup([sys.argv[0], *flags, str(corpus)], tally, **own)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
