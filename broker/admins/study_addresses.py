"""An administrator addresses a study to a member, or ends an address, whoever made it."""

from __future__ import annotations

from sqlalchemy import Connection

from broker.database.recipients import add_recipient, end_recipient
from broker.members import registry
from broker.members.registry import Member
from broker.trail import audit
from broker.trail.audit import ADDRESS_ENDED, ADDRESSED, address_detail
from p2pacs.catalogue.records import StudyRecord
from p2pacs.errors import RevokedError, StateError, UsageError
from p2pacs.identity.directory import Role
from p2pacs.phrases import Phrase
from p2pacs.swarm.scheduling.priority import Priority


def address_study(
    connection: Connection, member: Member, study: StudyRecord, priority: Priority, admin: str
) -> None:
    """A member may read a study from now on, whatever its rule says, and is told to fetch it.

    Raises:
        RevokedError: it was revoked.
        StateError: it has not joined.
        UsageError: it reads nothing.
    """
    if member.revoked is not None:
        raise RevokedError(
            Phrase("%(name)s was revoked: it reads nothing any more", name=member.name)
        )
    if member.role is not Role.HOSPITAL:
        raise UsageError(
            Phrase("%(name)s reads nothing: studies are addressed to hospitals", name=member.name)
        )
    if member.joined is None:
        raise StateError(Phrase("%(name)s has not joined yet", name=member.name))
    add_recipient(connection, study.study, member.address, priority, actor=admin)
    registry.tell_anew(connection, member.address)
    detail = address_detail(member.name, priority)
    audit.record(connection, _entry(ADDRESSED, member, study, admin, detail))


def end_address(connection: Connection, member: Member, study: StudyRecord, admin: str) -> bool:
    """A member may not read a study any more but by its rule; whether it was addressed to it."""
    if not end_recipient(connection, study.study, member.address):
        return False
    registry.tell_anew(connection, member.address)
    detail = address_detail(member.name)
    audit.record(connection, _entry(ADDRESS_ENDED, member, study, admin, detail))
    return True


def _entry(what: str, member: Member, study: StudyRecord, admin: str, detail: str) -> audit.Entry:
    return audit.Entry(
        what, admin, study=study.study, uid=study.uid, detail=detail, about=member.address
    )
