"""What the broker's commands show: tables, lines, JSON."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from broker.config import AUTHORITY, BROKER_TOML, BrokerSettings
from broker.members.registry import Member
from broker.registration.join_command import join_command, run_command, usual_plan
from broker.setup import BrokerSecrets, describe
from broker.trail import audit
from p2pacs.output.listings import PrintedList
from p2pacs.output.tables import Column, Table
from p2pacs.units import format_limit


def founded(folder: Path, keys: BrokerSecrets, settings: BrokerSettings) -> str:
    """What ``broker init`` says."""
    said = describe(keys, settings)
    lines = [
        f"The network {said['network']!r} ({said['prefix']}) is founded in {folder}.",
        f"Settings:   {folder / BROKER_TOML}",
        f"Start it:   p2pacs broker run {folder}",
        f"Your pages: {said['web']}",
    ]
    if settings.web.secure:
        authority = folder / AUTHORITY / "authority.pem"
        lines.append(f"            (import {authority} into your browser first;")
        lines.append("            other names that you type for it: web.hosts in the settings)")
    return "\n".join(lines)


def ready(said: dict[str, Any]) -> str:
    """The line that says that the broker listens."""
    where = ", ".join(said["listen"])
    return f"The broker listens for members at {where}; the pages are at {said['web']}"


def token_hint(member: Member) -> str:
    """What to do with a token: commands that can be pasted as they are."""
    return (
        f"On the machine of {member.name}, as root; the first command asks for the token:\n\n"
        f"{join_command(None, usual_plan(member.name, member.role))}\n"
        f"{run_command()}\n\n"
        "The token is shown this once, and is good once."
    )


def _state(member: Member, at: int, *, running: bool) -> str:
    state = member.state(at)
    # A broker that was killed could not say that its members are linked no longer.
    return "joined" if state == "linked" and not running else state


def member_json(member: Member, at: int, *, running: bool) -> dict[str, Any]:
    """A member for ``--json``."""
    return {
        "name": member.name,
        "address": str(member.address),
        "role": member.role.value,
        "state": _state(member, at, running=running),
        "uplink": member.uplink,
        "downlink": member.downlink,
        "read": member.read,
        "send": member.send,
        "endpoints": list(member.endpoints),
        "registered": audit.utc(member.registered),
        "joined": _utc(member.joined),
        "last_seen": _utc(member.last_seen),
        "certificate_expires": _utc(member.certificate_expires),
        "revoked": _utc(member.revoked),
    }


MEMBER_COLUMNS: Final = (
    "name",
    "address",
    "role",
    "state",
    "uplink",
    "downlink",
    "read",
    "send",
    "endpoints",
    "registered",
    "joined",
    "last_seen",
    "certificate_expires",
    "revoked",
)
"""What `member_json` has."""


def members_listing(members: Sequence[Member], at: int, *, running: bool) -> PrintedList:
    """All members."""
    rows = [member_json(one, at, running=running) for one in members]
    table = partial(members_table, members, at, running=running)
    return PrintedList("members", MEMBER_COLUMNS, rows, table)


def members_table(members: Sequence[Member], at: int, *, running: bool) -> Table:
    """All members as a table."""
    columns = [
        Column("Name", wraps=True),
        Column("State"),
        Column("Role"),
        Column("Up / down"),
        Column("May read", wraps=True),
        Column("May send", wraps=True),
        Column("Last seen"),
        Column("Address"),
    ]
    rows = [
        (
            member.name,
            _state(member, at, running=running),
            member.role.value,
            f"{format_limit(member.uplink)} / {format_limit(member.downlink)}",
            member.read,
            member.send,
            _last_seen(member, at, running=running),
            str(member.address),
        )
        for member in members
    ]
    return Table(columns, rows)


AUDIT_COLUMNS: Final = (
    "when",
    "actor",
    "address",
    "what",
    "study",
    "study_instance_uid",
    "detail",
    "outcome",
    "about",
)
"""What `audit.as_json` has."""


def audit_listing(entries: Sequence[audit.Entry]) -> PrintedList:
    """Entries of the audit trail."""
    rows = [audit.as_json(entry) for entry in entries]
    return PrintedList("entries", AUDIT_COLUMNS, rows, partial(audit_table, entries))


def audit_table(entries: Sequence[audit.Entry]) -> Table:
    """The audit trail as a table; studies by their ids (``--json`` has the UIDs)."""
    columns = [
        Column("When (UTC)"),
        Column("Who", wraps=True),
        Column("What", wraps=True),
        Column("Detail", wraps=True),
        Column("Study"),
        Column("Outcome"),
    ]
    rows = [
        (
            entry.when,
            entry.actor,
            entry.what,
            entry.detail,
            entry.study.short if entry.study else "",
            entry.outcome,
        )
        for entry in entries
    ]
    return Table(columns, rows)


def _last_seen(member: Member, at: int, *, running: bool) -> str:
    if _state(member, at, running=running) == "linked":
        return "now"
    return _utc(member.last_seen) or "never"


def _utc(time: int | None) -> str | None:
    return None if time is None else audit.utc(time)
