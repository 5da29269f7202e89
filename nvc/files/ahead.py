"""Runs one stage of the work in a thread of its own, a few items ahead of the next stage."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from queue import Full, Queue
from threading import Event, Thread
from typing import TypeVar

T = TypeVar("T")

_DEPTH = 1  # items that wait: enough to keep both threads at work, few enough to hold in memory
_START_S = 1.0  # a thread that has not begun by then never will
_POLL_S = 0.1  # how soon a thread notices that nobody wants more


class _Raised:
    """What ended the items early."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


@contextmanager
def ahead(items: Iterable[T], stop: Callable[[], None] | None = None) -> Iterator[Iterator[T]]:
    """Iterate over items while another thread makes the next ones; at the end of the block it has stopped.

    What making an item may wait for long, `stop` has to end. An error that making an item raises is raised
    where that item is asked for.
    """
    ready: Queue[T | _Raised | None] = Queue(_DEPTH)
    began, unwanted = Event(), Event()

    def put(item: T | _Raised | None) -> bool:
        while not unwanted.is_set():
            try:
                ready.put(item, timeout=_POLL_S)
            except Full:
                continue
            return True
        return False

    def make() -> None:
        began.set()
        try:
            for item in items:
                if not put(item):
                    return
            put(None)
        except BaseException as error:
            put(_Raised(error))

    def taken() -> Iterator[T]:
        while (item := ready.get()) is not None:
            if isinstance(item, _Raised):
                raise item.error
            yield item

    thread = Thread(target=make, name="nvc-ahead", daemon=True)
    try:
        thread.start()
        yield taken()
    finally:
        unwanted.set()
        if stop is not None:
            stop()
        # An interrupt may come out of `start`, and a process must not end beside a thread at work.
        if began.wait(_START_S):
            thread.join()
