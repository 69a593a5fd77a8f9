"""The child alone, as the system sees it."""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from p2pacs.limits import MIB
from p2pacs.workers.messages import CallBatch, CallOutcome, CallResult, Task, receive_outcomes, send
from tests.p2pacs.workers import jobs

ROOT = Path(__file__).parents[3]


class Child:
    """A worker with its two pipes."""

    def __init__(self) -> None:
        tether, held = os.pipe()
        self.tether = os.fdopen(held, "wb")
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "p2pacs.workers.child", str(tether)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=[tether],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        os.close(tether)

    @property
    def tasks(self) -> IO[bytes]:
        assert self.process.stdin is not None
        return self.process.stdin

    @property
    def answers(self) -> IO[bytes]:
        assert self.process.stdout is not None
        return self.process.stdout

    def ask(self, function: Any, *arguments: Any, memory: int = 64 * MIB) -> list[CallOutcome]:
        send(self.tasks, 1, CallBatch((Task(function, arguments),), memory))
        return receive_outcomes(self.answers, 1, MIB)


@pytest.fixture
def child() -> Iterator[Child]:
    made = Child()
    yield made
    made.process.kill()
    made.tether.close()
    made.tasks.close()
    made.answers.close()
    made.process.wait()


def test_it_ends_with_its_pipe(child: Child) -> None:
    assert child.ask(jobs.length, b"123") == [CallResult(3)]
    child.tasks.close()
    assert child.process.wait(10) == 0


def test_it_ends_in_the_middle_of_a_task_with_the_program(child: Child, tmp_path: Path) -> None:
    send(child.tasks, 1, CallBatch((Task(jobs.hang, (str(tmp_path),)),), MIB))
    child.tether.close()
    child.process.wait(10)
    assert child.answers.read() == b""


def test_what_comes_through_the_pipe_meanwhile_does_not_end_it(child: Child) -> None:
    """The kernel may signal the end of a write when all of it has been read: a pipe that tells
    of the program's end must be another than that of the tasks."""
    for number in (1, 2, 3):
        send(child.tasks, number, CallBatch((Task(jobs.wait, (100,)),), MIB))
    for number in (1, 2, 3):
        assert receive_outcomes(child.answers, number, MIB) == [CallResult(child.process.pid)]


def test_it_leaves_signals_to_the_program(child: Child) -> None:
    child.ask(jobs.pid)
    for number in (signal.SIGINT, signal.SIGTERM):
        child.process.send_signal(number)
    assert child.ask(jobs.length, b"123") == [CallResult(3)]


def test_it_leaves_no_core_file(child: Child) -> None:
    assert child.ask(resource.getrlimit, resource.RLIMIT_CORE) == [CallResult((0, 0))]


def test_the_memory_of_every_batch_is_its_own(child: Child) -> None:
    small, large = 16 * MIB, 256 * MIB
    first = child.ask(resource.getrlimit, resource.RLIMIT_AS, memory=small)
    second = child.ask(resource.getrlimit, resource.RLIMIT_AS, memory=large)
    third = child.ask(resource.getrlimit, resource.RLIMIT_AS, memory=small)
    limits = [one.value[0] for (one,) in (first, second, third) if isinstance(one, CallResult)]
    assert limits[1] - limits[0] >= large - small - MIB
    assert limits[1] - limits[2] >= large - small - 8 * MIB
