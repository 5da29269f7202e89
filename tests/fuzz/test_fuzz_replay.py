"""What fuzzing found stays found, and a little of it runs with every test run."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from fuzz_mutator import mutate_stream, put_together, take_apart
from fuzz_targets import TARGETS, seeds
from hypothesis import given, settings
from hypothesis import strategies as st

COMMITTED = [(target, path) for target in TARGETS for path in seeds(target)]
STREAMS = [path.read_bytes() for path in seeds("parser")]
DECODABLE = [path.read_bytes() for path in seeds("decoder")]


@pytest.mark.parametrize(("target", "path"), COMMITTED, ids=[f"{t}-{p.stem}" for t, p in COMMITTED])
def test_committed_inputs(target: str, path: Path) -> None:
    accepted = TARGETS[target](path.read_bytes())
    assert accepted or path.parent.name == "regressions" or path.stem in ("unfinished", "example", "empty")


def test_streams_come_back_together() -> None:
    for data in DECODABLE:
        assert put_together(*take_apart(data)) == data


def change_bytes(random: Random, data: bytes) -> bytes:
    """Replace, insert or remove a few bytes."""
    start = random.randrange(len(data) + 1)
    new = random.choice((b"", random.randbytes(random.randrange(1, 9))))
    return data[:start] + new + data[start + random.choice((0, len(new), 1, 40)) :]


def mutated(streams: list[bytes], random: Random) -> bytes:
    return mutate_stream(random.choice(streams), random, lambda data: change_bytes(random, data))


@settings(deadline=None, max_examples=300)
@given(st.integers(0, 2**32))
def test_mutations_within_the_checksums(seed: int) -> None:
    data = mutated(STREAMS, Random(seed))
    TARGETS["parser"](data)
    TARGETS["seek"](data)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32))
def test_mutations_reach_the_networks(seed: int) -> None:
    TARGETS["decoder"](mutated(DECODABLE, Random(seed)))


@settings(deadline=None, max_examples=150)
@given(st.binary(min_size=8, max_size=8), st.binary(min_size=8, max_size=200))
def test_any_payload_stays_inside_its_buffer(plan: bytes, payload: bytes) -> None:
    TARGETS["entropy"](plan + payload[:7] + b"\x40" + payload[8:])
