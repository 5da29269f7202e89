"""A stage that runs ahead keeps order, passes errors on and stops when nobody wants more."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator

import pytest

from nvc.files.ahead import ahead
from nvc.piped import PipedInput


def test_items_come_in_order_from_another_thread() -> None:
    def make() -> Iterator[tuple[int, str]]:
        for i in range(20):
            yield i, threading.current_thread().name

    with ahead(make()) as items:
        made = list(items)
    assert [i for i, _ in made] == list(range(20))
    assert threading.current_thread().name not in {name for _, name in made}


def test_an_error_comes_after_the_items_before_it() -> None:
    def make() -> Iterator[int]:
        yield 1
        raise KeyError("of the other thread")

    with ahead(make()) as items:
        assert next(items) == 1
        with pytest.raises(KeyError, match="of the other thread"):
            next(items)


def test_leaving_early_stops_the_thread() -> None:
    made = []

    def make() -> Iterator[int]:
        for i in range(10**6):
            made.append(i)
            yield i

    before = threading.active_count()
    with ahead(make()) as items:
        assert next(items) == 0
    assert threading.active_count() == before
    assert len(made) < 10


def test_what_it_waits_for_is_stopped() -> None:
    there, here = os.pipe()
    pipe = PipedInput(os.fdopen(there, "rb"))

    def make() -> Iterator[bytes]:
        while data := pipe.read(1):
            yield data

    os.write(here, b"a")
    with ahead(make(), pipe.stop) as items:
        assert next(items) == b"a"
    assert pipe.read(1) == b""  # nothing came, and nobody waits for it any more
    pipe.close()
    os.close(here)


def test_an_interrupt_while_the_thread_starts_leaves_none_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    start = threading.Thread.start

    def interrupted(thread: threading.Thread) -> None:
        start(thread)
        raise KeyboardInterrupt

    def items() -> Iterator[int]:
        time.sleep(0.2)
        yield 1

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt), ahead(items()):
        pass
    assert not [thread for thread in threading.enumerate() if thread.name == "nvc-ahead"]
