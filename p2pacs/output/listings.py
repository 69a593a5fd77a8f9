"""How commands print what they found: for people, or by ``--json`` or ``--csv`` for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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


def printed_for_programs(value: JsonObject, *, as_json: bool, as_csv: bool) -> bool:
    """Print one object as it was asked for; whether it was. As CSV it is a line for each value,
    under the names that lead to it: ``pacs.state,answers``.

    Raises:
        UsageError: both kinds are asked for.
    """
    _check_kind(as_json=as_json, as_csv=as_csv)
    if as_json:
        typer.echo(json.dumps(value, ensure_ascii=False))
    elif as_csv:
        lines = [{"name": name, "value": one} for name, one in flattened(value)]
        sys.stdout.write(csv_text(("name", "value"), lines))
    return as_json or as_csv


def flattened(value: object, name: str = "") -> Iterator[tuple[str, object]]:
    """All values of an object of JSON, each with the names and places (from 0) that lead to it."""
    if isinstance(value, Mapping):
        inside: Iterable[tuple[object, object]] = value.items()
    elif isinstance(value, list | tuple):
        inside = enumerate(value)
    else:
        yield name, value
        return
    for key, one in inside:
        yield from flattened(one, f"{name}.{key}" if name else str(key))


def _check_kind(*, as_json: bool, as_csv: bool) -> None:
    if as_json and as_csv:
        raise UsageError("give --json or --csv, not both")


def print_listing(listing: PrintedList, *, as_json: bool, as_csv: bool) -> None:
    """Print it on standard output.

    Raises:
        UsageError: both kinds are asked for.
    """
    _check_kind(as_json=as_json, as_csv=as_csv)
    if as_json:
        typer.echo(json.dumps({listing.key: listing.rows}, ensure_ascii=False))
    elif as_csv:
        sys.stdout.write(csv_text(listing.columns, listing.rows))
    else:
        show(listing.table())
