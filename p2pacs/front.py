"""The front door: ``p2pacs``. Assembles the commands and says errors in one clear line.

Only the side that a command belongs to is imported, so that ``--help`` is quick.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Final

import typer

from p2pacs.command_line.completion import completed_command, print_completion
from p2pacs.errors import P2PacsError, UsageError, first_of, local_error, report
from p2pacs.files.private_files import private_umask
from p2pacs.process import heap, standard_streams
from p2pacs.process.pydicom_alone import load_pydicom

INTERRUPTED: Final = 130
"""Exit code after Ctrl-C, as shells have it."""

SIDES: Final = {
    "broker": ("broker.commands.cli", "Be the broker: the PACS's side, and the authority."),
    "peer": ("peer.commands.cli", "Be a peer: a hospital's gateway, or a replica."),
    "viewer": ("peer.commands.viewer", "Put the OHIF viewer into a peer, or take it out."),
}
"""Sub-commands: the module whose ``app`` they are, and their help."""

SHORTCUTS: Final = {
    "find": "Find studies in the catalogue that this peer may read.",
    "get": "Fetch a study and write it as DICOM files; run it again to resume.",
    "send": "Send DICOM files into the network and to the PACS; run it again to resume.",
    "status": "Show the peer's links, transfers, store and catalogue.",
    "sent": "List the studies that are sent from here, or do something about one.",
}
"""Commands of peer/commands/cli.py at the top level."""


def build(wanted: str) -> typer.Typer:
    """The commands; all but the wanted one only by their name and help."""
    app = typer.Typer(
        no_args_is_help=True,
        add_completion=False,  # `completion` prints it: typer would write into people's shell files
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        help="A peer-to-peer distribution network for DICOM studies.",
    )
    app.callback()(_options)
    if wanted == "peer" or wanted in SHORTCUTS:
        load_pydicom()
    for name, (module, text) in SIDES.items():
        if name == wanted:
            app.add_typer(importlib.import_module(module).app, name=name)
        else:
            app.add_typer(typer.Typer(help=text), name=name)
    if wanted in SHORTCUTS:
        importlib.import_module("peer.commands.cli").add_commands(app)
    else:
        for name, text in SHORTCUTS.items():
            app.command(name, help=text)(_elsewhere)
    app.command("doctor")(_doctor)
    app.command("completion")(print_completion)
    app.command("archive", hidden=True)(_archive)
    return app


def _elsewhere() -> None:
    """A command that is only listed here."""


def _version(asked: bool) -> None:
    if asked:
        from p2pacs.version import own_version  # noqa: PLC0415 - reads the environment

        typer.echo(f"p2pacs {own_version()}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", metavar="", callback=_version, is_eager=True, help="Show the version."
        ),
    ] = False,
) -> None:
    """Typer's place for the options of all commands."""


def _doctor(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", readable=False, help="A broker's or peer's folder.")
    ],
    *,
    as_json: Annotated[
        bool, typer.Option("--json", metavar="", help="Print one JSON object.")
    ] = False,
    as_csv: Annotated[
        bool, typer.Option("--csv", metavar="", help="Print lines of comma-separated values.")
    ] = False,
) -> None:
    """Find what is wrong with a set-up, and say what to do; exit code 1 if anything is bad."""
    import trio  # noqa: PLC0415

    from p2pacs.doctor.examination import examine  # noqa: PLC0415
    from p2pacs.doctor.report import report_csv, report_json, report_lines  # noqa: PLC0415
    from p2pacs.process import logs  # noqa: PLC0415
    from p2pacs.process.health import Health, worst  # noqa: PLC0415

    if as_json and as_csv:
        raise UsageError("give --json or --csv, not both")
    logs.configure("error", json=False)
    if (folder / "broker.toml").is_file():
        known, planned = importlib.import_module("broker.commands.doctor").plan_broker(folder)
    else:
        known, planned = importlib.import_module("peer.commands.doctor").plan_peer(folder)
    checks = [*known, *trio.run(examine, planned)]
    if as_json:
        typer.echo(json.dumps(report_json(checks), ensure_ascii=False))
    elif as_csv:
        typer.echo(report_csv(checks), nl=False)
    else:
        for line in report_lines(checks):
            typer.echo(line)
    raise typer.Exit(int(worst(checks) is Health.BAD))


def _archive(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", readable=False, help="DICOM files; made if missing.")
    ],
    *,
    dicom: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where it listens.")],
    aet: Annotated[str, typer.Option(help="Its AE title.")] = "ARCHIVE",
    destination: Annotated[
        list[str] | None,
        typer.Option(metavar="AET=HOST:PORT", help="Where a C-MOVE may send to."),
    ] = None,
) -> None:
    """Run the small PACS that demos and tests use."""
    load_pydicom()
    import trio  # noqa: PLC0415

    from p2pacs.archive.server import archive  # noqa: PLC0415
    from p2pacs.dimse.association.remote import DimseRemote  # noqa: PLC0415
    from p2pacs.process.stopping import run_until_stopped  # noqa: PLC0415
    from p2pacs.units import Endpoint  # noqa: PLC0415

    destinations: dict[str, DimseRemote] = {}
    for one in destination or []:
        title, _, where = one.partition("=")
        there = Endpoint.parse(where)
        destinations[title] = DimseRemote(title, there.host, there.port)

    async def work(stop: trio.Event) -> None:
        async with archive(folder, aet, Endpoint.parse(dicom), destinations) as running:
            typer.echo(f"{running.aet} listens at port {running.port}")
            await stop.wait()

    run_until_stopped(work)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit with its code."""
    if arguments is None:
        standard_streams.mend()
    heap.bound()
    given = list(sys.argv[1:] if arguments is None else arguments)
    wanted = completed_command(os.environ)
    if wanted is None:
        wanted = next((one for one in given if not one.startswith("-")), "")
    try:
        _check_text(given)
        # Called from a program that runs already (a test), its own objects are not what stays.
        with heap.loading() if arguments is None else nullcontext():
            commands = build(wanted)
        with private_umask():
            commands(args=given, prog_name="p2pacs")
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None
    except (P2PacsError, OSError, ExceptionGroup) as error:
        known = _known(error)
        if known is None:
            raise
        _say(known, as_json="--json" in given)
        raise SystemExit(known.exit_code) from None


def _check_text(arguments: Sequence[str]) -> None:
    """Names, keys and folders are printed, sent and stored: they must be text.

    Raises:
        UsageError: bytes that are none; as they may be a patient's name, they are not repeated.
    """
    for number, argument in enumerate(arguments, 1):
        try:
            argument.encode()
        except UnicodeEncodeError as error:
            raise UsageError(
                f"argument {number} is no text in the encoding of this terminal (UTF-8, most often)"
            ) from error


def _known(error: BaseException) -> P2PacsError | None:
    """The error of ours that matters; of the operating system's, what it means.

    What a command expects to fail, it translates itself, with better advice: this is for the rest.
    """
    if (known := first_of(error)) is not None:
        return known
    if isinstance(error, ExceptionGroup):
        return next((found for one in error.exceptions if (found := _known(one))), None)
    if isinstance(error, OSError):
        return local_error(error, f"cannot use {error.filename}" if error.filename else "failed")
    return None


def _say(error: P2PacsError, *, as_json: bool) -> None:
    text = json.dumps(report(error), ensure_ascii=False) if as_json else f"p2pacs: {error}"
    typer.echo(text, err=True)
