"""The worker process itself: ``python -P -m p2pacs.workers.child``, with a pipe on each side.

It ends with the pipe that its tasks come from, even in the middle of one that hangs.
"""

from __future__ import annotations

import faulthandler
import fcntl
import os
import resource
import select
import signal
import sys
from pathlib import Path
from types import TracebackType as Traceback
from typing import IO, Final

from p2pacs import heap
from p2pacs.errors import P2PacsError
from p2pacs.workers.messages import (
    CallBatch,
    CallFailure,
    CallResult,
    Outcome,
    Task,
    receive_batch,
    send,
)

NICE: Final = 5
"""How far behind the program itself: its event loop answers other members meanwhile."""

_STATM: Final = Path("/proc/self/statm")
"""proc(5): the first number is the address space in pages."""


def main() -> None:
    """Do what comes, until the program ends."""
    tasks, answers = _pipes()
    tether = _Tether(tasks.fileno())
    _prepare()
    while True:
        try:
            number, batch = receive_batch(tasks)
        except EOFError:
            return
        tether.tie()
        outcomes = work(batch)
        tether.untie()
        try:
            send(answers, number, outcomes)
        except BrokenPipeError:
            return
        del batch, outcomes  # 200 MB, perhaps; the next one may be long in coming


def work(batch: CallBatch) -> list[Outcome]:
    """Make the calls of a batch, within its memory."""
    _bound(batch.memory)
    return [_call(task) for task in batch.tasks]


def _call(task: Task) -> Outcome:
    try:
        return CallResult(task.function(*task.arguments))
    except P2PacsError as error:
        return CallFailure(error)


def _last_words(kind: type[BaseException], _error: BaseException, trace: Traceback | None) -> None:
    """What ended the process, and where; what the error says may be patient data."""
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    code = trace.tb_frame.f_code if trace is not None else None
    place = f" in {code.co_qualname}, line {trace.tb_lineno}" if code and trace else ""
    sys.stderr.write(f"worker process: {kind.__name__}{place}\n")


class _Tether:
    """Ties the process to the program: the kernel ends it when the other end of the pipe closes.

    While a task runs nothing else comes through the pipe, so a signal means its end. It ends a
    process that hangs in a codec, where no thread of Python would run (fcntl(2), O_ASYNC).
    """

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe
        self._flags = fcntl.fcntl(pipe, fcntl.F_GETFL)

    def tie(self) -> None:
        """From now on."""
        fcntl.fcntl(self._pipe, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(self._pipe, fcntl.F_SETFL, self._flags | os.O_ASYNC)
        poll = select.poll()
        poll.register(self._pipe, select.POLLHUP)
        if poll.poll(0):
            os._exit(0)

    def untie(self) -> None:
        """No longer."""
        fcntl.fcntl(self._pipe, fcntl.F_SETFL, self._flags)


def _pipes() -> tuple[IO[bytes], IO[bytes]]:
    """The pipes, out of the way of whatever prints."""
    tasks = os.fdopen(os.dup(sys.stdin.fileno()), "rb")
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, sys.stdin.fileno())
    os.close(nothing)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return tasks, answers


def _prepare() -> None:
    heap.keep()
    sys.excepthook = _last_words
    faulthandler.enable()
    # The program says when it is over: a Ctrl-C is for it, and it may let work be finished.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold patient data
    os.nice(NICE)


def _bound(memory: int) -> None:
    """Let the address space grow by so many bytes."""
    try:
        pages = int(_STATM.read_bytes().split()[0])
    except OSError:  # no such file outside Linux: then without this bound
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = pages * resource.getpagesize() + memory
    resource.setrlimit(resource.RLIMIT_AS, (most if hard < 0 else min(most, hard), hard))


if __name__ == "__main__":
    main()
