"""Runs commands as an account that may not do everything: a program of its own, for test_mistakes.

Reads a JSON list of commands, each a list of arguments, and writes what each came to. All are
run in one process, since each start takes most of a second.
"""

import contextlib
import functools
import io
import json
import os
import signal
import sys
import traceback
from types import TracebackType

import typer
from attrs import define, field

from p2pacs import front
from p2pacs.accounts.passwords import Passwords
from tests.p2pacs.accounts.conftest import CHEAP

SERVING = {"run", "archive"}
"""Commands that go on until they are told to stop, ..."""

LOOK_SECONDS = 0.05
"""... which these are as soon as they say that they run, and again, until they listen ..."""

PATIENCE_SECONDS = 60.0
"""... or after so long, if they start and say nothing."""


@define
class Outcome:
    """What a command comes to, also if it ends with what it should not."""

    code: int | str | None = 0
    out: io.StringIO = field(factory=io.StringIO)
    err: io.StringIO = field(factory=io.StringIO)

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _where: TracebackType | None,
    ) -> bool:
        if isinstance(error, SystemExit):
            self.code = error.code or 0
        elif error is not None:
            self.code = 1
            traceback.print_exception(error, file=self.err)
        return True


def run(arguments: list[str]) -> dict[str, object]:
    """What a command wrote, and its exit code."""
    outcome, looks = Outcome(), 0

    def look(_signal: int, _frame: object) -> None:
        nonlocal looks
        looks += 1
        if outcome.out.getvalue() or looks * LOOK_SECONDS >= PATIENCE_SECONDS:
            os.kill(os.getpid(), signal.SIGTERM)

    signal.signal(signal.SIGALRM, look)
    with contextlib.redirect_stdout(outcome.out), contextlib.redirect_stderr(outcome.err):
        if SERVING & {*arguments}:  # the others end by themselves, however busy the machine is
            signal.setitimer(signal.ITIMER_REAL, LOOK_SECONDS, LOOK_SECONDS)
        with outcome:
            front.main(arguments)
        signal.setitimer(signal.ITIMER_REAL, 0)
    return {"code": outcome.code, "out": outcome.out.getvalue(), "err": outcome.err.getvalue()}


def _not_yet(_signal: int, _frame: object) -> None:
    """It comes again when the program has begun to listen for it."""


def _spare_what_is_tried_elsewhere() -> None:
    """Half of the time went into hashes of passwords, and into building the same commands anew."""
    hashed = Passwords.hash
    Passwords.hash = lambda _, password: hashed(CHEAP, password)  # type: ignore[method-assign]
    front.build = functools.cache(front.build)
    typer.main.get_command = functools.cache(typer.main.get_command)


if __name__ == "__main__":
    _spare_what_is_tried_elsewhere()
    signal.signal(signal.SIGTERM, _not_yet)
    json.dump([run(arguments) for arguments in json.load(sys.stdin)], sys.stdout)
