"""The broker's commands. All but ``run`` work whether or not the broker runs: same database."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from broker.access.send_rules import parse_send_rule
from broker.commands import admins as cli_admins
from broker.commands import output as cli_output
from broker.commands.common import (
    WHO,
    AsJson,
    Folder,
    MemberArgument,
    Yes,
    opened,
    print_json,
)
from broker.commands.status import read_status, status_facts, status_json
from broker.config import LOCK, OWN, BrokerSettings, load_broker_settings
from broker.database.db import now
from broker.members import registry
from broker.members.corrections import Correction, check_removable
from broker.members.registry import Registration
from broker.setup import check_place, describe, found
from broker.trail import audit
from p2pacs.accounts.passwords import check_name
from p2pacs.command_line.private_input import PasswordFile, read_private, sure
from p2pacs.errors import UsageError
from p2pacs.files.locks import is_locked
from p2pacs.files.private_files import mend_modes
from p2pacs.identity.directory import Role
from p2pacs.output.listings import CsvOption, print_listing, printed_for_programs
from p2pacs.output.tables import show
from p2pacs.process import heap, logs
from p2pacs.process.pydicom_alone import load_pydicom
from p2pacs.process.stopping import run_until_stopped, tell_ready
from p2pacs.settings import complaints, merged, read_given
from p2pacs.settings.listeners import naming_settings
from p2pacs.swarm.scheduling.priority import Priority
from p2pacs.units import MEASURED, parse_rate

app = typer.Typer(no_args_is_help=True, help="Be the broker: the PACS's side, and the authority.")


def _count(text: str) -> int:
    try:
        count = int(text)
    except ValueError:
        count = 0
    if count < 1:
        raise typer.BadParameter("a whole number is expected, at least 1")
    return count


@app.command()
def init(
    folder: Folder,
    *,
    pacs: Annotated[
        str, typer.Option(help="dimse://AET@HOST:PORT or dicomweb+http://HOST:PORT/ROOT")
    ],
    listen: Annotated[
        list[str], typer.Option(metavar="HOST:PORT", help="Where members connect to.")
    ],
    web: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where your pages are served.")],
    admin: Annotated[str, typer.Option(metavar="NAME", help="The first administrator.")],
    advertise: Annotated[
        list[str] | None,
        typer.Option(metavar="HOST:PORT", help="An address to tell the members, if another."),
    ] = None,
    aet: Annotated[
        str | None, typer.Option(help="The broker's own AE title; P2PACS if none is given.")
    ] = None,
    dicom: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Where the PACS sends to on a C-MOVE.")
    ] = None,
    network: Annotated[str, typer.Option(help="The network's name.")] = "p2pacs",
    settings_file: Annotated[
        Path | None,
        typer.Option(
            "--settings", metavar="F", help="TOML file of further settings, as in broker.toml."
        ),
    ] = None,
    password_file: PasswordFile = None,
    as_json: AsJson = False,
) -> None:
    """Make a broker: a new network with its authority, database and settings."""
    logs.configure("warning", json=False)
    usual = {"line": {"uplink": MEASURED}}
    given: dict[str, Any] = {"pacs": pacs, "listen": listen, "web": {"listen": web}}
    given |= {"advertise": advertise} if advertise else {}
    given |= {"aet": aet} if aet else {}
    given |= {"dicom": dicom} if dicom else {}
    more = read_given(settings_file) if settings_file else {}
    settings = _settings(merged(merged(usual, more), given))
    check_name(admin)
    check_place(folder)
    password = read_private(password_file, "Password", twice=True)
    keys = found(folder, settings, network=network, admin=admin, password=password)
    if as_json:
        print_json(describe(keys, settings))
    else:
        typer.echo(cli_output.founded(folder, keys, settings))


@app.command()
def run(folder: Folder, *, as_json: AsJson = False) -> None:
    """Run the broker until it is told to stop (Ctrl-C or SIGTERM)."""
    settings = load_broker_settings(folder)
    logs.configure(settings.log.level, json=settings.log.json_lines)
    logs.say_mended(folder, mend_modes(folder, OWN))
    with heap.loading():
        load_pydicom()
        from broker.app import run_broker  # noqa: PLC0415 - most of all code, for this alone

    def ready(said: dict[str, Any]) -> None:
        tell_ready(json.dumps(said, ensure_ascii=False) if as_json else cli_output.ready(said))

    with naming_settings(settings):
        run_until_stopped(lambda stop: run_broker(folder, settings, ready, stop))


@app.command()
def token(
    folder: Folder,
    *,
    name: Annotated[str, typer.Option(help="What people call the member.")] = "",
    role: Annotated[
        str | None, typer.Option(metavar="hospital|replica", help="What it is for.")
    ] = None,
    uplink: Annotated[str | None, typer.Option(help="Its uplink: 800kbit.")] = None,
    downlink: Annotated[str | None, typer.Option(help="Its downlink: 3mbit.")] = None,
    read: Annotated[
        str | None, typer.Option(help="all, none or rules such as Modality=CT,MR.")
    ] = None,
    send: Annotated[
        str | None, typer.Option(help="What it may send: all, none or AE titles: CT1,MR1.")
    ] = None,
    renew: Annotated[
        bool, typer.Option("--renew", metavar="", help="A new token for a member that there is.")
    ] = False,
    sheet: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="Register all members of a CSV file; -: standard input.",
        ),
    ] = None,
    csv: Annotated[str | None, typer.Option(hidden=True)] = None,
    as_json: AsJson = False,
) -> None:
    """Register a member and print its one-time token (the same as the form)."""
    actions, database = opened(folder)
    if csv is not None:  # its name until version 0.1
        raise UsageError(f"write --from {csv}: --csv prints, here as everywhere")
    if sheet is not None:
        if name or renew or any((role, uplink, downlink, read, send)):
            raise UsageError("--from takes no other option: the file says everything")
        from broker.commands.sheet import register_all  # noqa: PLC0415 - pydicom: half of a start-up

        register_all(actions, database, sheet, as_json=as_json)
        return
    if not name:
        raise UsageError("--name is needed, or --from")
    if renew:
        if any((role, uplink, downlink, read, send)):
            raise UsageError("--renew takes --name alone")
        member = database.transact(lambda c: registry.find_member(c, name))
        text = database.transact(lambda c: actions.new_token(c, member.address, WHO))
    else:
        if role not in (Role.HOSPITAL, Role.REPLICA):
            raise UsageError("--role is hospital or replica")
        registration = Registration(
            name,
            Role(role),
            parse_rate(uplink) if uplink else None,
            parse_rate(downlink) if downlink else None,
            read or registry.default_read(Role(role)),
            str(parse_send_rule(send or registry.default_send(Role(role)))),
        )
        member, text = database.transact(lambda c: actions.register(c, registration, WHO))
    if as_json:
        print_json({"name": member.name, "address": str(member.address), "token": text})
    else:
        typer.echo(text)
        typer.echo(cli_output.token_hint(member), err=True)


@app.command()
def members(folder: Folder, *, as_json: AsJson = False, as_csv: CsvOption = False) -> None:
    """List the members and how they are."""
    _, database = opened(folder)
    listed, at = database.transact(registry.list_members), now()
    listing = cli_output.members_listing(listed, at, running=is_locked(folder / LOCK))
    print_listing(listing, as_json=as_json, as_csv=as_csv)


@app.command()
def status(folder: Folder, *, as_json: AsJson = False, as_csv: CsvOption = False) -> None:
    """Show whether the broker runs, how its PACS is, and who is linked."""
    actions, database = opened(folder)
    said = read_status(folder, actions.settings, database, actions.broker)
    if not printed_for_programs(status_json(said), as_json=as_json, as_csv=as_csv):
        show(status_facts(folder, said))


@app.command()
def revoke(
    folder: Folder, member: MemberArgument, *, yes: Yes = False, as_json: AsJson = False
) -> None:
    """End a membership for good: its links are closed, everybody refuses it."""
    actions, database = opened(folder)
    record = database.transact(lambda c: registry.find_member(c, member))
    if not yes:
        sure(f"Expel {record.name} ({record.address}) for good")
    changed = database.transact(lambda c: actions.revoke(c, record.address, WHO))
    if as_json:
        said = {"name": record.name, "address": str(record.address), "changed": changed}
        print_json(said)
    else:
        done = "is revoked" if changed else "was revoked before"
        typer.echo(f"{record.name} ({record.address}) {done}.")


@app.command()
def adopt(
    folder: Folder, member: MemberArgument, *, yes: Yes = False, as_json: AsJson = False
) -> None:
    """Finish the studies that a member sends without it: where its machine is lost for good."""
    actions, database = opened(folder)
    record = database.transact(lambda c: registry.find_member(c, member))
    if not yes:
        sure(f"Finish the studies of {record.name} ({record.address}) without it")
    count = database.transact(lambda c: actions.adopt(c, record.address, WHO))
    if as_json:
        print_json({"name": record.name, "address": str(record.address), "studies": count})
    else:
        studies = "1 study" if count == 1 else f"{count} studies"
        typer.echo(
            f"The broker finishes {studies} of {record.name} without it: what others have goes to "
            "the PACS (p2pacs broker audit DIR tells what came of each)."
        )


@app.command()
def correct(
    folder: Folder,
    member: MemberArgument,
    *,
    name: Annotated[str | None, typer.Option(help="What people call it from now on.")] = None,
    role: Annotated[
        str | None, typer.Option(metavar="hospital|replica", help="What it is for.")
    ] = None,
    uplink: Annotated[str | None, typer.Option(help="Its uplink: 800kbit, or none.")] = None,
    downlink: Annotated[str | None, typer.Option(help="Its downlink: 3mbit, or none.")] = None,
    as_json: AsJson = False,
) -> None:
    """Correct a member's name; and its role and lines, as long as it has not joined."""
    if (name, role, uplink, downlink) == (None, None, None, None):
        raise UsageError("say what shall be different: --name, --role, --uplink or --downlink")
    if role not in (None, Role.HOSPITAL, Role.REPLICA):
        raise UsageError("--role is hospital or replica")
    actions, database = opened(folder)
    before = database.transact(lambda c: registry.find_member(c, member))
    wanted = Correction(
        before.name if name is None else name,
        before.role if role is None else Role(role),
        _rate_or(uplink, before.uplink),
        _rate_or(downlink, before.downlink),
    )
    after = database.transact(
        lambda c: actions.correct(c, before.address, wanted, WHO, version=before.version)
    )
    if as_json:
        print_json(cli_output.member_json(after, now(), running=is_locked(folder / LOCK)))
    else:
        changed = "is corrected" if after.version != before.version else "was so already"
        typer.echo(f"{after.name} ({after.address}) {changed}.")


@app.command()
def delete(
    folder: Folder, member: MemberArgument, *, yes: Yes = False, as_json: AsJson = False
) -> None:
    """Delete a member that never joined: its token is good no longer, its name is free."""
    actions, database = opened(folder)
    record = database.transact(lambda c: registry.find_member(c, member))
    check_removable(record)
    if not yes:
        sure(f"Delete {record.name} ({record.address})")
    database.transact(lambda c: actions.remove(c, record.address, WHO, version=record.version))
    if as_json:
        print_json({"name": record.name, "address": str(record.address)})
    else:
        typer.echo(f"{record.name} ({record.address}) is deleted.")


@app.command()
def rule(
    folder: Folder,
    member: MemberArgument,
    read: Annotated[str, typer.Argument(metavar="RULES", help="all, none or rules.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Change what a member may read."""
    actions, database = opened(folder)
    record = database.transact(lambda c: registry.find_member(c, member))
    database.transact(lambda c: actions.change_rule(c, record.address, read, WHO))
    if as_json:
        said = {"name": record.name, "address": str(record.address), "read": read}
        print_json(said)
    else:
        typer.echo(f"{record.name} may now read: {read}")


@app.command("send-rule")
def send_rule(
    folder: Folder,
    member: MemberArgument,
    send: Annotated[
        str,
        typer.Argument(metavar="RULE", help="all, none, or AE titles: CT1,MR1."),
    ],
    *,
    as_json: AsJson = False,
) -> None:
    """Change which studies a member may send: all, none, or those of some AE titles."""
    actions, database = opened(folder)
    record = database.transact(lambda c: registry.find_member(c, member))
    rule = database.transact(lambda c: actions.change_send(c, record.address, send, WHO))
    if as_json:
        print_json({"name": record.name, "address": str(record.address), "send": rule})
    else:
        typer.echo(f"{record.name} may now send: {rule}")
        typer.echo(
            "What was refused before stays so until somebody there sends it again (page Sent)."
        )


@app.command()
def may(
    folder: Folder,
    member: MemberArgument,
    study: Annotated[
        str,
        typer.Argument(
            metavar="STUDY_UID", help="Study Instance UID; -: asked for, or standard input."
        ),
    ],
    *,
    as_json: AsJson = False,
    as_csv: CsvOption = False,
) -> None:
    """Tell whether a member may read a study, and why."""
    _, database = opened(folder)
    if study == "-":
        study = read_private(None, "Study Instance UID", hidden=False).strip()
    from broker.commands.access import tell_access  # noqa: PLC0415 - pydicom: half of a start-up

    tell_access(database, member, study, as_json=as_json, as_csv=as_csv)


@app.command()
def address(
    folder: Folder,
    member: MemberArgument,
    study: Annotated[
        str,
        typer.Argument(
            metavar="STUDY_UID", help="Study Instance UID; -: asked for, or standard input."
        ),
    ],
    *,
    stat: Annotated[
        bool, typer.Option("--stat", metavar="", help="It fetches the study before all others.")
    ] = False,
    end: Annotated[
        bool,
        typer.Option("--end", metavar="", help="It is addressed no longer, whoever did that."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Have a member fetch a study, and read it whatever its rule says; or no longer."""
    if stat and end:
        raise UsageError("--stat and --end contradict each other: give one")
    _, database = opened(folder)
    if study == "-":
        study = read_private(None, "Study Instance UID", hidden=False).strip()
    from broker.commands.access import change_address  # noqa: PLC0415 - as above

    priority = None if end else Priority.STAT if stat else Priority.INTERACTIVE
    said = change_address(database, member, study, priority, admin=WHO)
    if as_json:
        print_json(said)
    elif end:
        typer.echo(f"The study is not addressed to {said['name']} any more: its rule counts.")
    else:
        typer.echo(f"{said['name']} may read this study, and is told to fetch it.")


@app.command(name="audit")
def show_audit(
    folder: Folder,
    *,
    study: Annotated[
        str,
        typer.Option(metavar="UID", help="Of this study only; -: asked for, or standard input."),
    ] = "",
    member: Annotated[str, typer.Option(metavar="NAME", help="Of this member only.")] = "",
    most: Annotated[
        int, typer.Option(parser=_count, metavar="N", help="At most so many, newest first.")
    ] = audit.MOST,
    as_json: AsJson = False,
    as_csv: CsvOption = False,
) -> None:
    """Show who did what, newest first."""
    _, database = opened(folder)
    if study == "-":
        study = read_private(None, "Study Instance UID", hidden=False).strip()
    entries = database.transact(lambda c: audit.read(c, uid=study, member=member, most=most))
    print_listing(cli_output.audit_listing(entries), as_json=as_json, as_csv=as_csv)
    if not (entries or as_json or as_csv):
        typer.echo("Nothing matches.", err=True)


cli_admins.add_commands(app)


# ---------------------------------------------------------------- what they share


def _rate_or(text: str | None, before: int | None) -> int | None:
    if text is None:
        return before
    return None if text.strip().lower() in ("", "none") else parse_rate(text)


def _settings(given: dict[str, Any]) -> BrokerSettings:
    try:
        return BrokerSettings.model_validate(given)
    except ValidationError as error:
        raise UsageError(complaints(error)) from error
