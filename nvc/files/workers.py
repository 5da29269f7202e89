"""GOPs coded side by side: each goes whole to one worker, and results are met in the order of the tasks.

With one job the worker is this process. With more, each is a process of its own, spawned, that answers one
task after the other; a thread here feeds it. A worker ends when this process does, however that comes.
"""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import signal
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from multiprocessing.connection import Connection
from queue import SimpleQueue
from threading import Thread
from typing import Any, Generic, Protocol, TypeVar

from nvc.errors import ConfigError, WorkerError

Task = TypeVar("Task")
Prepared = TypeVar("Prepared")
Result = TypeVar("Result")
Facts = TypeVar("Facts")
Item = TypeVar("Item")


class Coder(ABC, Generic[Task, Prepared, Result, Facts]):
    """What codes one task after the other."""

    facts: Facts
    """What the caller wants to know of it."""

    @abstractmethod
    def prepare(self, task: Task) -> Prepared:
        """Do what needs no earlier result, in order; may be called from another thread than `code`."""

    @abstractmethod
    def code(self, task: Prepared) -> Result:
        """Code the next task."""


IN_FLIGHT_BYTES = 2**29
"""Bound on the frames between reading and writing, all workers together, when there are several."""


class Crew(Generic[Task, Prepared, Result, Facts]):
    """The workers of one run, each with a coder that `open_coder` made there; `facts` are those of the first.

    Raises what `open_coder` raises, and ConfigError for a number of jobs that is not positive. With several
    jobs `open_coder`, facts, tasks and results have to be picklable.
    """

    facts: Facts

    def __init__(self, open_coder: Callable[[], Coder[Task, Prepared, Result, Facts]], jobs: int) -> None:
        if jobs < 1:
            raise ConfigError(f"number of jobs {jobs} is not positive")
        self._workers: list[_Worker] = []
        try:
            for _ in range(jobs):
                self._workers.append(_Process(open_coder) if jobs > 1 else _Here(open_coder))
            self.facts = next(worker.facts() for worker in self._workers)
        except BaseException:
            self.close()
            raise
        self._current = self._workers[0]

    def prepare(self, task: Task) -> Task | Prepared:
        """Do what can be done ahead; what other processes code, they prepare there. Keep the order."""
        return self._workers[0].prepare(task)

    def submit(self, task: Task | Prepared, *, begins_gop: bool) -> Future[Result]:
        """Hand what was prepared to the worker of its GOP; a new GOP goes to the one with least to do."""
        if begins_gop:
            self._current = min(self._workers, key=lambda worker: worker.n_waiting)
        return self._current.submit(task)

    def close(self) -> None:
        """Stop the workers, whatever they are doing."""
        for worker in self._workers:
            worker.close()

    def __enter__(self) -> Crew[Task, Prepared, Result, Facts]:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def in_order(
    pairs: Iterable[tuple[Item, Future[Result] | None]], n_in_flight: int
) -> Iterator[tuple[Item, Future[Result] | None]]:
    """Pass on items, each with the future of its task if it has one, in their order.

    Reads on in `pairs` while the first item's future is not done, but never holds more than `n_in_flight`.
    """
    waiting: deque[tuple[Item, Future[Result] | None]] = deque()
    n_waiting = 0
    for pair in pairs:
        waiting.append(pair)
        n_waiting += pair[1] is not None
        while waiting:
            future = waiting[0][1]
            if future is not None and not future.done() and n_waiting < n_in_flight:
                break
            n_waiting -= future is not None
            yield waiting.popleft()
    while waiting:
        yield waiting.popleft()


def frames_in_flight(width: int, height: int, jobs: int) -> int:
    """Return how many frames of this size may be between reading and writing."""
    return max(2 * jobs, IN_FLIGHT_BYTES // (width * height * 3 // 2 + 1))


class _Worker(Protocol):
    @property
    def n_waiting(self) -> int: ...
    def facts(self) -> Any: ...
    def prepare(self, task: Any) -> Any: ...
    def submit(self, task: Any) -> Future[Any]: ...
    def close(self) -> None: ...


class _Here:
    """Codes in this process, at once."""

    n_waiting = 0

    def __init__(self, open_coder: Callable[[], Coder[Any, Any, Any, Any]]) -> None:
        self._coder = open_coder()

    def facts(self) -> Any:
        return self._coder.facts

    def prepare(self, task: Any) -> Any:
        return self._coder.prepare(task)

    def submit(self, task: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(self._coder.code(task))
        except Exception as error:
            future.set_exception(error)
        return future

    def close(self) -> None:
        pass


class _Process:
    """Codes in a process of its own; the first thing it sends is the facts."""

    def __init__(self, open_coder: Callable[[], Coder[Any, Any, Any, Any]]) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, its_end = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(its_end, open_coder, gc.get_threshold()), daemon=True
        )
        with _interrupts_held():
            self._process.start()
        its_end.close()
        self._tasks: SimpleQueue[tuple[Any, Future[Any]] | None] = SimpleQueue()
        self._n_submitted = self._n_done = 0
        self._facts: Future[Any] = Future()
        self._thread = Thread(target=self._feed, daemon=True)
        self._thread.start()

    @property
    def n_waiting(self) -> int:
        return self._n_submitted - self._n_done

    def facts(self) -> Any:
        return self._facts.result()

    def prepare(self, task: Any) -> Any:
        return task

    def submit(self, task: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self._n_submitted += 1
        self._tasks.put((task, future))
        return future

    def close(self) -> None:
        self._process.kill()
        self._tasks.put(None)
        self._thread.join()
        self._process.join()
        self._pipe.close()

    def _feed(self) -> None:
        self._receive(self._facts)
        while True:
            entry = self._tasks.get()
            if entry is None:
                return
            task, future = entry
            try:
                with contextlib.suppress(OSError):  # it is gone: receiving says so
                    self._pipe.send(task)
            except Exception as error:  # a task that cannot be pickled
                future.set_exception(error)
            else:
                self._receive(future)
            self._n_done += 1
            del entry, task, future  # they are large, and the next may be long in coming

    def _receive(self, future: Future[Any]) -> None:
        try:
            is_result, value = self._pipe.recv()
        except (EOFError, OSError):
            self._process.join()
            future.set_exception(WorkerError(f"a worker process died ({_ending(self._process.exitcode)})"))
        except Exception as error:  # an answer that cannot be unpickled
            future.set_exception(error)
        else:
            if is_result:
                future.set_result(value)
            else:
                future.set_exception(value)


def _serve(
    pipe: Connection, open_coder: Callable[[], Coder[Any, Any, Any, Any]], gc_threshold: tuple[int, int, int]
) -> None:
    """Answer tasks until the other end of the pipe is closed."""
    gc.set_threshold(*gc_threshold)
    with contextlib.suppress(EOFError, OSError):
        try:
            coder = open_coder()
        except Exception as error:
            _send_error(pipe, error)
            return
        pipe.send((True, coder.facts))
        while True:
            task = pipe.recv()
            try:
                result = coder.code(coder.prepare(task))
            except Exception as error:
                _send_error(pipe, error)
            else:
                pipe.send((True, result))


def _send_error(pipe: Connection, error: Exception) -> None:
    try:
        pipe.send((False, error))
    except (TypeError, AttributeError, ValueError):  # cannot be pickled
        pipe.send((False, WorkerError(f"{type(error).__name__}: {error}")))


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
    """Let what is started here inherit that Ctrl-C does not reach it: this process decides when it ends."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # else the first start would, and let interrupts through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _ending(exitcode: int | None) -> str:
    if exitcode is None or exitcode >= 0:
        return f"exit code {exitcode}"
    killed = exitcode == -getattr(signal, "SIGKILL", 9)
    return f"signal {-exitcode}" + ("; perhaps memory ran out: fewer jobs need less" if killed else "")
