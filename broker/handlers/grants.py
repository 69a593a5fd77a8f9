"""May a member read a study? The decision, the key, and the line in the audit trail, at once."""

from __future__ import annotations

from functools import lru_cache

from attrs import frozen
from sqlalchemy import Connection

from broker.access.rules import Rule, decide_for, parse_rule
from broker.database.db import now
from broker.database.schema import grants
from broker.members import registry
from broker.members.registry import Member
from broker.study_keys import StudyKeys
from broker.trail import audit
from p2pacs.catalogue.records import StudyRecord
from p2pacs.errors import ForbiddenError, RevokedError
from p2pacs.identity.directory import Role
from p2pacs.ids import VirtualAddress
from p2pacs.sql.portable import insert_missing

GRANTED = "study granted"
ENTRUSTED = "key entrusted with the catalogue"
REPLICATED = "study replicated blindly"


@frozen
class AskingMember:
    """A member that asks, with its rule."""

    member: Member
    rule: Rule

    @property
    def blind(self) -> bool:
        """Whether it holds studies without ever reading them."""
        return self.member.role is Role.REPLICA

    def may_read(self, record: StudyRecord, addressed_by: str | None = None) -> bool:
        """Whether its rule allows this study, or somebody addressed it to it."""
        return decide_for(self.member.role, self.rule, record, addressed_by=addressed_by).allowed


@lru_cache(maxsize=1024)
def _parsed(text: str) -> Rule:
    return parse_rule(text)


def asking_member(connection: Connection, address: VirtualAddress) -> AskingMember:
    """The member with this address.

    Raises:
        NotFoundError: there is none.
        RevokedError: it was revoked.
    """
    member = registry.get_member(connection, address)
    if member.revoked is not None:
        raise RevokedError(f"{member.name} was revoked")
    return AskingMember(member, _parsed(member.read))


def refuse(
    connection: Connection, who: AskingMember, record: StudyRecord, purpose: str
) -> ForbiddenError:
    """Write down that a study was asked for in vain; the error to raise once that is kept."""
    audit.record(connection, _entry(GRANTED, who, record, purpose, outcome=audit.REFUSED))
    return ForbiddenError(
        f"{who.member.name} may not read study {record.study.short}: ask the administrator"
    )


def grant(
    connection: Connection, studies: StudyKeys, who: AskingMember, record: StudyRecord, purpose: str
) -> bytes:
    """The key of a study that the asker may read, wrapped to it; empty for a blind replica."""
    what = REPLICATED if who.blind else GRANTED
    audit.record(connection, _entry(what, who, record, purpose))
    if who.blind or who.member.box_key is None:
        return b""
    _remember(connection, who, record)
    return studies.wrapped(connection, record.study, who.member.box_key)


def entrust(connection: Connection, who: AskingMember, records: list[StudyRecord]) -> None:
    """Write down whose keys went out with the catalogue; each once, as a key never changes."""
    fresh = [record for record in records if _remember(connection, who, record)]
    audit.record(connection, *(_entry(ENTRUSTED, who, record, "") for record in fresh))


def _remember(connection: Connection, who: AskingMember, record: StudyRecord) -> bool:
    row = {"study": record.study.raw, "address": who.member.address.raw, "granted": now()}
    return insert_missing(connection, grants, row)


def _entry(
    what: str, who: AskingMember, record: StudyRecord, purpose: str, outcome: str = audit.DONE
) -> audit.Entry:
    return audit.Entry(
        what,
        who.member.name,
        who.member.address,
        record.study,
        record.uid,
        purpose,
        outcome,
    )
