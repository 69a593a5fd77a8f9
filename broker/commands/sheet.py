"""The command that registers all members of a CSV file."""

from __future__ import annotations

import sys
from pathlib import Path

import typer
from sqlalchemy import Connection

from broker.admins.actions import AdminActions
from broker.commands.common import WHO, print_json
from broker.database.db import BrokerDatabase
from broker.members.registry import Member
from broker.registration.member_sheet import BYTES, read_sheet
from broker.registration.token_sheet import token_sheet
from p2pacs.command_line.private_input import STANDARD_INPUT
from p2pacs.errors import local_error


def register_all(
    actions: AdminActions, database: BrokerDatabase, path: Path, *, as_json: bool
) -> None:
    """Register all members of a CSV file, or none; their tokens go to standard output.

    Args:
        actions: of the administrator.
        database: the broker's.
        path: of the file; `STANDARD_INPUT` is that.
        as_json: whether one JSON object is printed instead of CSV.

    Raises:
        UsageError: no such file, or rows that cannot be registered, named with their lines.
        LocalError: it cannot be read.
    """
    raw = _sheet_bytes(path)

    def work(connection: Connection) -> list[tuple[Member, str]]:
        sheet = read_sheet(raw, actions.taken_names(connection))
        return actions.register_all(connection, sheet.registrations, WHO)

    made = database.transact(work)
    if as_json:
        said = [
            {"name": member.name, "address": str(member.address), "token": text}
            for member, text in made
        ]
        print_json({"members": said})
    else:
        typer.echo(token_sheet(made), nl=False)
        typer.echo(f"{len(made)} are registered; each token is shown this once.", err=True)


def _sheet_bytes(path: Path) -> bytes:
    try:
        if path == STANDARD_INPUT:
            return sys.stdin.buffer.read(BYTES + 1)
        with path.open("rb") as file:
            return file.read(BYTES + 1)
    except OSError as error:
        raise local_error(error, f"cannot read {path}") from error
