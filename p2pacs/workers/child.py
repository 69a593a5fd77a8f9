"""The worker process itself: ``python -P -m p2pacs.workers.child TETHER``, a pipe on each side.

It ends when the program does, even in the middle of a task that hangs: TETHER says how it learns
of that (`p2pacs.workers.system`).
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
from contextlib import nullcontext
from types import TracebackType as Traceback
from typing import IO

from p2pacs.errors import P2PacsError
from p2pacs.process import heap
from p2pacs.workers.messages import (
    CallBatch,
    CallFailure,
    CallOutcome,
    CallResult,
    Task,
    receive_batch,
    send,
)
from p2pacs.workers.system import bound_memory, step_back, tie


def main() -> None:
    """Do what comes, until the program ends."""
    tasks, answers = _pipes()
    _prepare()
    tie(sys.argv[1])
    unused = True
    while True:
        try:
            # A batch names the modules of what it calls.
            with heap.loading() if unused else nullcontext():
                number, batch = receive_batch(tasks)
        except EOFError:
            return
        unused = False
        outcomes = work(batch)
        try:
            send(answers, number, outcomes)
        except BrokenPipeError:
            return
        del batch, outcomes  # 200 MB, perhaps; the next one may be long in coming


def work(batch: CallBatch) -> list[CallOutcome]:
    """Make the calls of a batch, within its memory."""
    bound_memory(batch.memory)
    return [_call(task) for task in batch.tasks]


def _call(task: Task) -> CallOutcome:
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
    step_back()


if __name__ == "__main__":
    main()
