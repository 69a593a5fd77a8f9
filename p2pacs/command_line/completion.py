"""Commands, options and folders completed by the shell: bash, zsh and fish.

A shell that completes a command runs it with what was typed in its environment, and the program
answers instead of working (typer's way, which is click's). The script that tells the shell so is
printed, and never written into anybody's files.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Final

import typer

PROGRAM: Final = "p2pacs"

VARIABLE: Final = "_P2PACS_COMPLETE"
"""In the environment while a shell completes: click builds the name out of the program's."""

_WORDS: Final = ("COMP_WORDS", "_TYPER_COMPLETE_ARGS")
"""Where the shells put what was typed: bash, and the others."""


class CompletedShell(StrEnum):
    """Shells that there is a script for."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def print_completion(
    shell: Annotated[CompletedShell, typer.Argument(metavar="bash|zsh|fish", help="Your shell.")],
) -> None:
    """Print what makes your shell complete p2pacs's commands with the Tab key."""
    from typer import completion  # noqa: PLC0415 - for this alone

    make = completion.get_completion_script  # type: ignore[attr-defined]
    script: str = make(prog_name=PROGRAM, complete_var=VARIABLE, shell=shell.value)
    typer.echo(script)


def completed_command(environment: Mapping[str, str]) -> str | None:
    """The first word after the program's name that is typed whole, while a shell completes.

    Returns:
        It, or an empty text if there is none yet; None if no shell completes.
    """
    if VARIABLE not in environment:
        return None
    from typer import completion  # noqa: PLC0415 - for this alone

    # typer's classes for the shells, instead of click's
    completion.completion_init()  # type: ignore[attr-defined]
    typed = next((environment[name] for name in _WORDS if name in environment), "")
    words = [one for one in typed.split()[1:] if not one.startswith("-")]
    return words[0] if words else ""
