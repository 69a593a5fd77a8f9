"""What a command must not be told in its arguments: tokens, passwords, keys of patients.

Every account of a machine can read the arguments of all processes (``ps``), and shells keep them
in a history. So such things come from a prompt, from standard input, or from a file.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from p2pacs.errors import UsageError, local_error

STANDARD_INPUT: Final = Path("-")
"""As a file name, as with other tools."""

MOST_BYTES: Final = 64 * 1024
"""Of a file: a token has some hundred, a query a few lines."""

PasswordFile = Annotated[
    Path | None,
    typer.Option(
        metavar="F", help="File with the password; -: standard input. Else it is asked for."
    ),
]
"""The option of commands that take a password."""


def read_private(
    source: Path | None, what: str, *, hidden: bool = True, twice: bool = False
) -> str:
    """A text that stands in no process list, without its line end.

    Args:
        source: a file; `STANDARD_INPUT`; None: asked for on a terminal, else standard input.
        what: it is, for the prompt and for errors.
        hidden: whether it is not shown while it is typed.
        twice: whether it is asked for twice, as a slip of the finger would not be seen.

    Raises:
        UsageError: nothing was given, too much, no text, or a file that cannot be read.
    """
    if source is None and sys.stdin is not None and sys.stdin.isatty():
        asked: str = typer.prompt(what, hide_input=hidden, confirmation_prompt=twice, err=True)
        return asked
    text = _read(source or STANDARD_INPUT, what).removesuffix("\n").removesuffix("\r")
    if not text:
        where = "standard input" if source in (None, STANDARD_INPUT) else str(source)
        raise UsageError(f"{where} holds nothing: {what.lower()} is expected there")
    return text


def sure(what: str) -> None:
    """Ask whether to do what cannot be taken back: on the terminal, else by standard input.

    Raises:
        UsageError: no, or nobody answers.
    """
    if sys.stdin is not None and sys.stdin.isatty():
        is_sure = typer.confirm(f"{what}?", err=True)
    else:
        answer = sys.stdin.readline(MOST_BYTES).strip() if sys.stdin is not None else ""
        if not answer:
            raise UsageError(f"{what}? Nobody is there to be asked: add --yes")
        is_sure = answer.lower() in ("y", "yes")
    if not is_sure:
        raise UsageError("nothing was changed")


def _read(source: Path, what: str) -> str:
    try:
        if source == STANDARD_INPUT:
            data = sys.stdin.buffer.read(MOST_BYTES + 1)
        else:
            with source.open("rb") as file:
                data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(str(local_error(error, f"{source} cannot be read"))) from error
    if len(data) > MOST_BYTES:
        raise UsageError(f"{what.lower()}: {source} is too long to be that")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{what.lower()}: {source} is no text in UTF-8") from error
