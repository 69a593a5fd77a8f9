"""What the broker's commands share: their arguments, and how they open the broker."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Final

import typer

from broker.admins.actions import AdminActions
from broker.config import DATABASE, load_broker_settings
from broker.database.db import BrokerDatabase, connect, migrate
from broker.setup import load_keys
from p2pacs.process import logs

WHO: Final = "command line"
"""The actor in the audit trail."""

Folder = Annotated[Path, typer.Argument(metavar="DIR", readable=False, help="The broker's folder.")]
MemberArgument = Annotated[str, typer.Argument(metavar="NAME|ADDRESS", help="A member.")]
AsJson = Annotated[bool, typer.Option("--json", metavar="", help="Print one JSON object.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", metavar="", help="Do not ask.")]


def opened(folder: Path) -> tuple[AdminActions, BrokerDatabase]:
    """What administrators do in this broker, and its database, of today's version.

    Raises:
        StateError: there is no broker, or one of a newer version.
    """
    logs.configure("warning", json=False)
    settings = load_broker_settings(folder)
    keys = load_keys(folder)
    migrate(folder / DATABASE)
    return AdminActions(keys.authority, keys.identity.address, settings), connect(folder / DATABASE)


def print_json(value: object) -> None:
    """One JSON object on standard output."""
    typer.echo(json.dumps(value, ensure_ascii=False))
