"""The peer's commands: ``peer join`` and ``peer run``; ``find``, ``get``, ``send`` and
``status``."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from p2pacs.command_line.private_input import read_private
from p2pacs.errors import UsageError
from p2pacs.files.private_files import mend_modes
from p2pacs.output.json_object import JsonObject
from p2pacs.output.listings import CsvOption, print_listing, printed_for_programs
from p2pacs.output.tables import show
from p2pacs.process import heap, logs
from p2pacs.process.stopping import run_until_stopped, tell_ready
from p2pacs.settings import read_given
from p2pacs.settings.listeners import naming_settings
from p2pacs.units import Endpoint
from peer.api.client import PeerClient
from peer.commands.asking import ask, run_to_end
from peer.commands.keys import add_keys, check_date
from peer.commands.output import tables as output
from peer.commands.sent import sent
from peer.commands.users import app as users
from peer.config import OWN, load_peer_settings

INTERRUPTED: Final = 130
"""Exit code after Ctrl-C, as shells have it."""


LEAVE_IT_OUT: Final = (
    "leave the token out: what is typed here, every account of this machine can read while the "
    "command runs, and the shell keeps it. It is asked for, or read from standard input or "
    "--token-file. If others use this machine, ask the administrator for a new token"
)


class PriorityName(StrEnum):
    """What `p2pacs.swarm.scheduling.priority` calls its classes."""

    STAT = "stat"
    INTERACTIVE = "interactive"
    PREFETCH = "prefetch"
    BACKGROUND = "background"


Folder = Annotated[Path, typer.Argument(metavar="DIR", readable=False, help="The peer's folder.")]
AsJson = Annotated[bool, typer.Option("--json", metavar="", help="Print one JSON object.")]

app = typer.Typer(no_args_is_help=True, help="Be a peer: a hospital's gateway, or a replica.")
app.add_typer(users, name="user")


def add_commands(root: typer.Typer) -> None:
    """Add ``find``, ``get``, ``send``, ``sent`` and ``status`` to the top-level commands."""
    root.command()(find)
    root.command()(get)
    root.command()(send)
    root.command()(status)
    root.command()(sent)


@app.command(context_settings={"allow_extra_args": True})
def join(
    context: typer.Context,
    folder: Folder,
    *,
    listen: Annotated[
        list[str], typer.Option(metavar="HOST:PORT", help="Where members may connect to.")
    ],
    token_file: Annotated[
        Path | None,
        typer.Option(
            metavar="F", help="File with the token; -: standard input. Else it is asked for."
        ),
    ] = None,
    advertise: Annotated[
        list[str] | None,
        typer.Option(metavar="HOST:PORT", help="An address to tell the members; none behind NAT."),
    ] = None,
    aet: Annotated[str | None, typer.Option(help="AE title of the gateway.")] = None,
    dicom: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Where workstations find the gateway.")
    ] = None,
    api: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Where commands here find the peer.")
    ] = None,
    web: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Where the hospital's people find its pages."),
    ] = None,
    workstation: Annotated[
        list[str] | None,
        typer.Option(metavar="AET=HOST:PORT", help="A workstation that a C-MOVE may name."),
    ] = None,
    settings_file: Annotated[
        Path | None,
        typer.Option(
            "--settings", metavar="F", help="TOML file of further settings, as in peer.toml."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Join a network with the administrator's token; then start it: p2pacs peer run DIR."""
    from peer.commands import join as joining  # noqa: PLC0415 - TLS, for this alone

    logs.configure("warning", json=False)
    if context.args:  # what older versions took there
        raise UsageError(LEAVE_IT_OUT)
    options = joining.JoinOptions(
        listen=tuple(Endpoint.parse(one) for one in listen),
        advertise=tuple(Endpoint.parse(one) for one in advertise or ()),
        aet=aet,
        dicom=Endpoint.parse(dicom) if dicom else None,
        api=Endpoint.parse(api) if api else None,
        web=Endpoint.parse(web) if web else None,
        workstations=dict(_workstation(one) for one in workstation or ()),
        more=read_given(settings_file) if settings_file else {},
    )
    joining.check_join(folder, options)
    secret = read_private(token_file, "Token")
    member = run_to_end(lambda: joining.join(folder, secret, options))
    name, gateway = member.settings.name, member.settings.dicom is not None
    if as_json:
        print_json({"name": name, "role": member.role, "folder": str(folder)})
    else:
        typer.echo(output.joined(folder, name, member.role, gateway=gateway))


def _workstation(text: str) -> tuple[str, Endpoint]:
    aet, equals, endpoint = text.partition("=")
    if not equals:
        raise UsageError(f"not a workstation: {text!r} (write it as AET=HOST:PORT)")
    return aet, Endpoint.parse(endpoint)


@app.command()
def run(folder: Folder, *, as_json: AsJson = False) -> None:
    """Run the peer until it is told to stop (Ctrl-C or SIGTERM)."""
    settings = load_peer_settings(folder)
    logs.configure(settings.log.level, json=settings.log.json_lines)
    logs.say_mended(folder, mend_modes(folder, OWN))
    with heap.loading():
        from peer.app import run_peer  # noqa: PLC0415 - most of all code, for this alone

    def ready(said: dict[str, Any]) -> None:
        tell_ready(json.dumps(said, ensure_ascii=False) if as_json else output.ready_line(said))

    with naming_settings(settings):
        run_until_stopped(lambda stop: run_peer(folder, settings, ready, stop))


def find(
    folder: Folder,
    *,
    patient_id: Annotated[str | None, typer.Option(help="Patient ID; * and ? match.")] = None,
    patient_name: Annotated[str | None, typer.Option(help="Family^Given; * and ? match.")] = None,
    study_date: Annotated[str | None, typer.Option(help="YYYYMMDD, or a range with -.")] = None,
    modality: Annotated[str | None, typer.Option(help="A modality in the study: CT, MR…")] = None,
    sent: Annotated[
        bool, typer.Option("--sent", help="Only what others sent to this hospital.")
    ] = False,
    keys_file: Annotated[
        Path | None,
        typer.Option(
            metavar="F",
            help="File with lines as patient-name=Doe^J*; -: standard input. Other accounts of "
            "this machine can read options, but not these.",
        ),
    ] = None,
    as_json: AsJson = False,
    as_csv: CsvOption = False,
) -> None:
    """Find studies in the catalogue that this peer may read."""
    keys = {
        "patient_id": patient_id,
        "patient_name": patient_name,
        "study_date": study_date,
        "modality": modality,
    }
    wanted = {name: value for name, value in keys.items() if value}
    if keys_file is not None:
        wanted = add_keys(wanted, read_private(keys_file, "Keys", hidden=False), tuple(keys))
    check_date(wanted.get("study_date", ""))
    studies, role = ask(folder, lambda peer: _search(peer, wanted, sent=sent))
    print_listing(output.studies_listing(studies), as_json=as_json, as_csv=as_csv)
    if not (studies or as_json or as_csv):
        typer.echo(output.nothing_found(role), err=True)


async def _search(
    peer: PeerClient, keys: dict[str, str], *, sent: bool
) -> tuple[list[JsonObject], str]:
    """What matches; where nothing does, the peer's role, which may be why."""
    studies = await peer.find(keys, sent=sent)
    return studies, "" if studies else (await peer.status()).get("role", "")


def get(
    folder: Folder,
    study_uid: Annotated[
        str,
        typer.Argument(
            metavar="STUDY_UID",
            help="Study Instance UID; -: asked for, or read from standard input, where other "
            "accounts of this machine cannot see it.",
        ),
    ],
    *,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where the files go.")],
    priority: Annotated[
        str | None,
        typer.Option(
            metavar="CLASS",
            help="Who is served first: stat, interactive (the default), prefetch or background.",
        ),
    ] = None,
    stat: Annotated[
        bool, typer.Option("--stat", metavar="", help="The same as --priority stat.")
    ] = False,
    preview: Annotated[
        Path | None,
        typer.Option(metavar="FILE.png", help="A contact sheet, as soon as it can be drawn."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Fetch a study and write it as DICOM files; run it again to resume."""
    from rich.console import Console  # noqa: PLC0415 - for this alone

    from peer.commands.get.study import get as get_study  # noqa: PLC0415 - pydicom and Pillow
    from peer.commands.output.bars import Bars  # noqa: PLC0415

    urgency = _urgency(priority, stat=stat)
    if preview is not None and preview.suffix.lower() != ".png":
        raise UsageError(f"--preview writes PNG: name the file {preview.stem or 'FILE'}.png")
    if study_uid == "-":
        study_uid = read_private(None, "Study Instance UID", hidden=False).strip()
    with Bars(Console(stderr=True)) as bars:
        try:
            outcome = run_to_end(
                lambda: get_study(folder, study_uid, out, bars, urgency.value, preview=preview)
            )
        except KeyboardInterrupt:
            typer.echo(
                "Stopped. What is here stays; run the same command again to resume.", err=True
            )
            raise typer.Exit(INTERRUPTED) from None
    if as_json:
        print_json({**outcome.json(), "out": str(out)})
    else:
        typer.echo(output.outcome_line(outcome, out))
    outcome.check()


def _urgency(named: str | None, *, stat: bool) -> PriorityName:
    """The class that was asked for, in one way or the other."""
    try:
        priority = PriorityName((named or (stat and "stat") or "interactive").lower())
    except ValueError as error:
        known = ", ".join(PriorityName)
        raise UsageError(f"--priority is one of {known}; not {named!r}") from error
    if stat and priority is not PriorityName.STAT:
        raise UsageError(f"--stat and --priority {priority.value} contradict each other: give one")
    return priority


def send(
    folder: Folder,
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FOLDER|FILE",
            readable=False,
            help="DICOM files; of a folder all that are in it, of a DICOMDIR those that it names.",
        ),
    ],
    *,
    force: Annotated[
        bool,
        typer.Option("--force", metavar="", help="Try files without the header of DICOM, too."),
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait", metavar="", help="Wait until the PACS has the studies.")
    ] = False,
    to: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A hospital that is to read the studies: it fetches them at once. May be given "
            "again.",
        ),
    ] = None,
    stat: Annotated[
        bool,
        typer.Option("--stat", metavar="", help="An emergency: it goes out before all else."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Send DICOM files into the network and to the PACS; run it again to resume."""
    from rich.console import Console  # noqa: PLC0415 - for this alone

    from peer.commands.output.send_bars import SendBars  # noqa: PLC0415
    from peer.commands.output.sent import sent_lines  # noqa: PLC0415
    from peer.commands.send.run import SendOptions  # noqa: PLC0415
    from peer.commands.send.run import send as send_files  # noqa: PLC0415

    options = SendOptions(force, wait, tuple(to or ()), "stat" if stat else "interactive")
    with SendBars(Console(stderr=True)) as bars:
        try:
            outcome = run_to_end(lambda: send_files(folder, files, bars, options))
        except KeyboardInterrupt:
            typer.echo(
                "Stopped. What was taken is sent on; run the same command again for the rest.",
                err=True,
            )
            raise typer.Exit(INTERRUPTED) from None
    if as_json:
        print_json(outcome.json())
    else:
        for line in sent_lines(outcome):
            typer.echo(line)
    outcome.check()


def status(folder: Folder, *, as_json: AsJson = False, as_csv: CsvOption = False) -> None:
    """Show the peer's links, transfers, store and catalogue."""
    said = ask(folder, PeerClient.status)
    if not printed_for_programs(said, as_json=as_json, as_csv=as_csv):
        show(*output.status_view(said))


def print_json(value: object) -> None:
    """One JSON object on standard output."""
    typer.echo(json.dumps(value, ensure_ascii=False))
