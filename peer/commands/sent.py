"""``p2pacs sent``: the studies that are sent from here, and what is done about one."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from p2pacs.command_line.private_input import sure
from p2pacs.errors import UsageError
from p2pacs.output.listings import CsvOption, print_listing
from peer.api.client import PeerClient
from peer.commands.asking import ask
from peer.commands.output.outgoing import changed_line, outgoing_listing

_NUMBER = "NUMBER"


def sent(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", readable=False, help="The peer's folder.")
    ],
    *,
    retry: Annotated[
        int | None,
        typer.Option(metavar=_NUMBER, help="Send this study (again) now.", min=1),
    ] = None,
    cancel: Annotated[
        int | None,
        typer.Option(
            metavar=_NUMBER,
            help="Send nothing more of this study; what is in the PACS stays there.",
            min=1,
        ),
    ] = None,
    address: Annotated[
        int | None,
        typer.Option(
            metavar=_NUMBER, help="Have this study go to further hospitals: --to says which.", min=1
        ),
    ] = None,
    to: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Of --address: a hospital that is to read the study, too. Several: NAME,NAME, or "
            "given again.",
        ),
    ] = None,
    stat: Annotated[
        bool,
        typer.Option("--stat", metavar="", help="Of --address: all fetch it before all else."),
    ] = False,
    remove: Annotated[
        int | None,
        typer.Option(
            metavar=_NUMBER,
            help="Remove what is kept here of a study that was refused or cancelled.",
            min=1,
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", metavar="", help="Do not ask.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", metavar="", help="Print one JSON object.")
    ] = False,
    as_csv: CsvOption = False,
) -> None:
    """List the studies that are sent from here, or do something about one.

    Those that are refused stand first, the others after them, the newest first. State says to whom
    a study goes, too, and how much of it each has.
    """
    given = {"retry": retry, "cancel": cancel, "address": address, "remove": remove}
    wanted = [(what, number) for what, number in given.items() if number is not None]
    if len(wanted) > 1:
        raise UsageError("give one of --retry, --cancel, --address and --remove")
    names = [name for one in to or () for name in map(str.strip, one.split(",")) if name]
    if (address is None) != (not names) or (stat and address is None):
        raise UsageError("--address NUMBER, --to NAME and --stat belong together")
    if not wanted:
        studies = ask(folder, PeerClient.outgoing_studies)
        print_listing(outgoing_listing(studies), as_json=as_json, as_csv=as_csv)
        if not (studies or as_json or as_csv):
            typer.echo("Nothing was sent from here.", err=True)
        return
    ((what, number),) = wanted
    if what == "remove" and not yes:
        sure(
            f"Remove for good what is kept here of study {number}, which is all there is of it "
            "unless the PACS or the scanner has it"
        )
    if what == "address":
        urgency = "stat" if stat else "interactive"
        call = partial(PeerClient.address_outgoing, number=number, to=names, priority=urgency)
    else:
        call = partial(PeerClient.change_outgoing, number=number, what=what)
    said = ask(folder, call)
    typer.echo(json.dumps(said, ensure_ascii=False) if as_json else changed_line(number, what))
