"""The worker process itself: ``python -P -m p2pacs.workers.child TETHER``, a pipe on each side.

It ends when the program does, even in the middle of a task that hangs: TETHER is the number of
the reading end of a pipe that nothing is ever written to, and whose other end the program holds.
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
    _prepare()
    tie(int(sys.argv[1]))
    while True:
        try:
            number, batch = receive_batch(tasks)
        except EOFError:
            return
        outcomes = work(batch)
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


def tie(tether: int) -> None:
    """Have the kernel end this process when the other end of a pipe closes (fcntl(2), O_ASYNC).

    It ends a process that hangs in a codec, where no thread of Python would run. It has to be a
    pipe of its own: the kernel signals the pipe of the tasks at the end of a write, when all
    that was written may have been read, and the work on it have begun (pipe_write in fs/pipe.c).
    """
    fcntl.fcntl(tether, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(tether, fcntl.F_SETFL, fcntl.fcntl(tether, fcntl.F_GETFL) | os.O_ASYNC)
    poll = select.poll()
    poll.register(tether, select.POLLHUP)
    if poll.poll(0):  # it closed before
        os._exit(0)


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
