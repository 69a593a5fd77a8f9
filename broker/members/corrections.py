"""Corrections of what was registered: functions on a transaction, beside `registry`."""

from __future__ import annotations

from attrs import frozen
from sqlalchemy import Connection, delete, update

from broker.database.db import bump
from broker.database.schema import members
from broker.members.registry import (
    DIRECTORY,
    Member,
    Registration,
    check_name,
    default_read,
    default_send,
)
from p2pacs.errors import RevokedError, StateError
from p2pacs.identity.directory import Role
from p2pacs.ids import VirtualAddress
from p2pacs.phrases import Phrase
from p2pacs.units import format_limit


@frozen
class Correction:
    """What a member shall be from now on."""

    name: str
    role: Role
    uplink: int | None
    downlink: int | None


def check_version(member: Member, version: int | None) -> None:
    """A change is made to what its author saw.

    Args:
        member: as it is.
        version: of the member that the author saw; None: it does not matter.

    Raises:
        StateError: somebody else has changed it since.
    """
    if version is not None and version != member.version:
        raise StateError(
            Phrase(
                "%(name)s was changed by somebody else while you looked at it: this is how it is"
                " now; change it again if you still want to",
                name=member.name,
            )
        )


def touch(connection: Connection, address: VirtualAddress) -> None:
    """Note that an administrator has changed the member."""
    of_member = members.c.address == address.raw
    connection.execute(update(members).where(of_member).values(version=members.c.version + 1))


def correct(
    connection: Connection, member: Member, wanted: Correction, *, reserved: str = ""
) -> str:
    """Change name, role or lines; what has changed, for the audit trail (empty: nothing).

    A rule that was the usual one for the role before becomes the usual one for the new role, and
    any rule becomes none with a replica.

    Args:
        connection: a transaction.
        member: as it is.
        wanted: how it shall be.
        reserved: a name that is taken besides those of the members: the broker's.

    Raises:
        UsageError: a name, role or rate that cannot be, or a name that is taken.
        StateError: role or lines of a member that has joined: its own settings count now.
        RevokedError: it was revoked.
    """
    if member.revoked is not None:
        raise RevokedError(
            Phrase("%(name)s was revoked: it stays in the list as it was", name=member.name)
        )
    usual = member.read == default_read(member.role)
    is_default = usual or wanted.role is Role.REPLICA
    read = default_read(wanted.role) if is_default else member.read
    checked = Registration(wanted.name, wanted.role, wanted.uplink, wanted.downlink, read)
    lines = (checked.uplink, checked.downlink)
    if member.joined is not None and (
        checked.role is not member.role or lines != (member.uplink, member.downlink)
    ):
        raise StateError(
            Phrase(
                "%(name)s has joined: its role stays, and its lines are in the peer.toml on its"
                " machine",
                name=member.name,
            )
        )
    if checked.name.lower() != member.name.lower():
        check_name(connection, checked.name, reserved)
    changed = _differences(member, checked)
    if changed:
        connection.execute(
            update(members)
            .where(members.c.address == member.address.raw)
            .values(
                name=checked.name,
                role=checked.role.value,
                uplink=checked.uplink,
                downlink=checked.downlink,
                read=checked.read,
                send=member.send if checked.role is member.role else default_send(checked.role),
            )
        )
        bump(connection, DIRECTORY)
    return changed


def check_removable(member: Member) -> None:
    """Whether a member may be deleted; known before anybody is asked.

    Raises:
        StateError: it has joined.
    """
    if member.joined is not None:
        raise StateError(Phrase("%(name)s has joined: it can only be revoked", name=member.name))


def remove(connection: Connection, member: Member) -> None:
    """Delete a member that never joined: its token is good no longer, and its name is free.

    Raises:
        StateError: it has joined; others may hold what it served, and the trail names it.
    """
    check_removable(member)
    connection.execute(delete(members).where(members.c.address == member.address.raw))


def _differences(member: Member, wanted: Registration) -> str:
    pairs = {
        "name": (member.name, wanted.name),
        "role": (member.role.value, wanted.role.value),
        "uplink": (format_limit(member.uplink), format_limit(wanted.uplink)),
        "downlink": (format_limit(member.downlink), format_limit(wanted.downlink)),
        "may read": (member.read, wanted.read),
    }
    return "; ".join(f"{what}: {old} → {new}" for what, (old, new) in pairs.items() if old != new)
