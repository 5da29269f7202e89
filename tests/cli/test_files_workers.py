"""Workers: order, bounds, errors and deaths, with coders that need no networks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from functools import partial
from pathlib import Path

import pytest

from bitstream_spec import CorruptStream
from nvc.errors import ConfigError, ModelError, WorkerError
from nvc.files.workers import Coder, Crew, frames_in_flight, in_order

Counters = Crew[str, str, tuple[int, int], str]
ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}


class Counter(Coder[str, str, tuple[int, int], str]):
    """Counts its tasks and tells its process; some tasks are not for counting."""

    def __init__(self, first: int) -> None:
        self.facts = "a counter"
        self._count = first

    def prepare(self, task: str) -> str:
        return task.strip()

    def code(self, task: str) -> tuple[int, int]:
        self._count += 1
        if task == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if task == "fail":
            raise CorruptStream("as wished")
        if task == "fail strangely":
            raise StrangeError(threading.Lock())
        if task == "sleep":
            time.sleep(600)
        return os.getpid(), self._count


def open_nothing() -> Counter:
    raise ModelError("no weights here")


class StrangeError(Exception):
    """Cannot be pickled, with what it holds."""


@pytest.fixture(scope="module")
def pair() -> Iterator[Counters]:
    with Crew(partial(Counter, 0), 2) as crew:
        yield crew


def test_one_job_is_this_process() -> None:
    with Crew(partial(Counter, 5), 1) as crew:
        assert crew.facts == "a counter"
        assert crew.submit(crew.prepare(" count "), begins_gop=True).result() == (os.getpid(), 6)
        with pytest.raises(CorruptStream, match=r"^as wished$"):
            crew.submit("fail", begins_gop=False).result()


def test_a_gop_stays_with_its_worker(pair: Counters) -> None:
    gops = [[pair.submit("count", begins_gop=not place) for place in range(3)] for _ in range(2)]
    answers = [[future.result(60) for future in gop] for gop in gops]
    processes = [{process for process, _ in gop} for gop in answers]
    assert [len(each) for each in processes] == [1, 1]
    assert processes[0] != processes[1]
    assert os.getpid() not in processes[0] | processes[1]
    for gop in answers:
        assert [count for _, count in gop] == list(range(gop[0][1], gop[0][1] + 3))


def test_errors_come_back_and_work_goes_on(pair: Counters) -> None:
    with pytest.raises(CorruptStream, match=r"^as wished$"):
        pair.submit("fail", begins_gop=True).result(60)
    with pytest.raises(WorkerError, match=r"^StrangeError: "):
        pair.submit("fail strangely", begins_gop=False).result(60)
    unsendable: str = threading.Lock()  # type: ignore[assignment]
    with pytest.raises(TypeError, match="pickle"):
        pair.submit(unsendable, begins_gop=False).result(60)
    assert pair.submit("count", begins_gop=False).result(60)


def test_another_process_prepares_its_tasks_itself(pair: Counters) -> None:
    assert pair.prepare(" fail ") == " fail "
    with pytest.raises(CorruptStream, match=r"^as wished$"):
        pair.submit(" fail ", begins_gop=True).result(60)


def test_a_worker_that_dies_or_is_stopped() -> None:
    with Crew(partial(Counter, 0), 2) as crew:
        dies = crew.submit("die", begins_gop=True)
        behind = crew.submit("count", begins_gop=False)
        sleeps = crew.submit("sleep", begins_gop=True)
        with pytest.raises(WorkerError, match=r"^a worker process died \(signal 9; perhaps memory ran out"):
            dies.result(60)
        with pytest.raises(WorkerError, match="died"):
            behind.result(60)
        began = time.monotonic()
    assert time.monotonic() - began < 30
    assert isinstance(sleeps.exception(0), WorkerError)


def test_workers_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    program = tmp_path / "parent.py"
    program.write_text(
        "import os\n"
        "from nvc.files.workers import Coder, Crew\n"
        "class Teller(Coder):\n"
        "    facts = None\n"
        "    def prepare(self, task): return task\n"
        "    def code(self, task): return os.getpid()\n"
        "if __name__ == '__main__':\n"
        "    with Crew(Teller, 2) as crew:\n"
        "        for _ in range(2):\n"
        "            print(crew.submit('who', begins_gop=True).result(), flush=True)\n"
        "        os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, program], env=ENVIRONMENT, capture_output=True, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert not done.stderr
    workers = [int(line) for line in done.stdout.split()]
    assert workers
    deadline = time.monotonic() + 30
    while any(map(is_running, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(is_running, workers))


def is_running(process: int) -> bool:
    try:
        return ") Z" not in Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_coder_that_cannot_be_opened(jobs: int) -> None:
    with pytest.raises(ModelError, match=r"^no weights here$"):
        Crew(open_nothing, jobs)


def test_no_jobs_are_refused() -> None:
    with pytest.raises(ConfigError, match="number of jobs 0 is not positive"):
        Crew(open_nothing, 0)


def test_results_are_met_in_order_and_few_are_in_flight() -> None:
    futures: list[Future[int]] = [Future() for _ in range(6)]
    read = []

    def pairs() -> Iterator[tuple[int, Future[int] | None]]:
        for index, future in enumerate(futures):
            read.append(index)
            yield index, future
            yield -index, None  # something between that needs no coding

    items = in_order(pairs(), 3)
    futures[0].set_result(0)
    assert next(items)[0] == 0
    assert read == [0]  # what is done is passed on before more is read
    assert next(items) == (0, None)
    assert next(items)[0] == 1
    assert read == [0, 1, 2, 3]
    for future in futures[1:]:
        future.set_result(0)
    assert [item for item, future in items if future] == [2, 3, 4, 5]


def test_frames_in_flight_are_bounded_by_their_bytes() -> None:
    assert frames_in_flight(1920, 1080, 2) == 172
    assert frames_in_flight(16384, 4096, 4) == 8
