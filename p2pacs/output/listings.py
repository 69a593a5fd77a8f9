"""How commands print what is a list: a table for people, ``--json`` or ``--csv`` for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from typing import Annotated

import typer
from attrs import frozen

from p2pacs.errors import UsageError
from p2pacs.output.csv_text import csv_text
from p2pacs.output.json_object import JsonObject
from p2pacs.output.tables import Table, show

CsvOption = Annotated[
    bool, typer.Option("--csv", metavar="", help="Print lines of comma-separated values.")
]


@frozen
class PrintedList:
    """One list."""

    key: str
    """Under which ``--json`` has the rows."""
    columns: Sequence[str]
    """What each row has; the titles of ``--csv``."""
    rows: Sequence[JsonObject]
    table: Callable[[], Table]
    """For people."""


def print_listing(listing: PrintedList, *, as_json: bool, as_csv: bool) -> None:
    """Print it on standard output.

    Raises:
        UsageError: both kinds are asked for.
    """
    if as_json and as_csv:
        raise UsageError("give --json or --csv, not both")
    if as_json:
        typer.echo(json.dumps({listing.key: listing.rows}, ensure_ascii=False))
    elif as_csv:
        sys.stdout.write(csv_text(listing.columns, listing.rows))
    else:
        show(listing.table())
