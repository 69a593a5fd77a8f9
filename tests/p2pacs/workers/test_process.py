import errno
import os
import subprocess
from collections.abc import Iterator

import pytest

from p2pacs.errors import WorkerError
from p2pacs.limits import MIB
from p2pacs.workers.messages import CallBatch, CallResult, Task
from p2pacs.workers.process import WorkerProcess
from tests.p2pacs.workers import jobs


@pytest.fixture
def process() -> Iterator[WorkerProcess]:
    made = WorkerProcess()
    yield made
    made.end()


def batch(*tasks: Task) -> CallBatch:
    return CallBatch(tasks, 256 * MIB)


def test_a_batch_is_done_in_order(process: WorkerProcess) -> None:
    tasks = [Task(jobs.length, (bytes(n),)) for n in (5, 3, 70_000)]
    assert process.work(batch(*tasks)) == [CallResult(5), CallResult(3), CallResult(70_000)]
    assert process.work(batch(Task(jobs.pid, ()))) == [CallResult(process.pid)]


def test_it_can_be_ended_at_any_time(process: WorkerProcess) -> None:
    assert process.alive
    process.kill()
    with pytest.raises(WorkerError, match="SIGKILL"):
        process.work(batch(Task(jobs.pid, ())))
    assert not process.alive
    process.end()


def test_no_room_for_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object, **_options: object) -> None:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(subprocess, "Popen", refuse)
    with pytest.raises(WorkerError, match="can be started"):
        WorkerProcess()


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ("import os; os.write(1, bytes(1000))", "answers something else"),
        ("import os; os.write(1, b'\\xff' * 1000)", "answers too much"),
        ("import os; os.write(1, b'short')", "exit code 0"),
        ("raise SystemExit(3)", "exit code 3"),
        ("import os; os.close(1); import time; time.sleep(60)", "SIGKILL"),
    ],
)
def test_what_is_no_worker_is_not_believed(program: str, why: str) -> None:
    stranger = WorkerProcess(("-c", program))
    try:
        with pytest.raises(WorkerError, match=why):
            stranger.work(batch(Task(jobs.pid, ())))
    finally:
        stranger.end()
