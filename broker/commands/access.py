"""The commands on what a member may read of single studies: whether and why, and addressing one."""

from __future__ import annotations

from typing import Final

import typer

from broker.access.try_out import decide_member
from broker.access.words import why
from broker.admins.study_addresses import address_study, end_address
from broker.database.db import BrokerDatabase
from broker.database.recipients import addressed_by
from broker.members import registry
from broker.members.registry import Member
from p2pacs.catalogue.catalogue_index import CatalogueIndex
from p2pacs.catalogue.records import StudyRecord
from p2pacs.errors import StudyNotFoundError, UsageError
from p2pacs.output.json_object import JsonObject
from p2pacs.output.listings import printed_for_programs
from p2pacs.swarm.scheduling.priority import Priority

_ANSWERS: Final = {True: "may read this study", False: "may not read this study"}


def tell_access(
    database: BrokerDatabase, member: str, uid: str, *, as_json: bool, as_csv: bool
) -> None:
    """Tell whether a member may read a study, and why.

    Args:
        database: the broker's.
        member: name or virtual address.
        uid: Study Instance UID.
        as_json: whether one JSON object is printed.
        as_csv: whether lines of comma-separated values are.

    Raises:
        NotFoundError: there is no such member.
        StudyNotFoundError: the catalogue does not have the study.
    """
    found, record = _found(database, member, uid)
    revoked = found.revoked is not None
    actor = database.transact(lambda c: addressed_by(c, record.study, found.address))
    decision = decide_member(
        found.role,
        found.read,
        record,
        revoked=revoked,
        addressed_by=actor,
    )
    reasons = why(decision, record)
    said = {
        "name": found.name,
        "address": str(found.address),
        "read": found.read,
        "allowed": decision.allowed,
        "why": reasons,
    }
    if printed_for_programs(said, as_json=as_json, as_csv=as_csv):
        return
    typer.echo(f"{found.name} {_ANSWERS[decision.allowed]}.")
    for one in reasons:
        typer.echo(f"- {one}")


def change_address(
    database: BrokerDatabase, member: str, uid: str, priority: Priority | None, *, admin: str
) -> JsonObject:
    """Address a study to a member, or (without a priority) end that; what is so now.

    Raises:
        NotFoundError: there is no such member.
        RevokedError: it was revoked.
        StateError: it has not joined.
        StudyNotFoundError: the catalogue does not have the study.
        UsageError: it reads nothing; or the study was not addressed to it.
    """
    found, record = _found(database, member, uid)
    if priority is not None:
        database.transact(lambda c: address_study(c, found, record, priority, admin))
    elif not database.transact(lambda c: end_address(c, found, record, admin)):
        raise UsageError(f"this study is not addressed to {found.name}")
    urgency = None if priority is None else priority.name.lower()
    return {"name": found.name, "address": str(found.address), "priority": urgency}


def _found(database: BrokerDatabase, member: str, uid: str) -> tuple[Member, StudyRecord]:
    found = database.transact(lambda c: registry.find_member(c, member))
    record = CatalogueIndex(database).by_uid(uid)
    if record is None:
        raise StudyNotFoundError("no study with this UID is in the catalogue: check the UID")
    return found, record
