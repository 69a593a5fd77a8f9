"""Studies that hospitals send, as pages show them: who made one, how far it is, for whom it is."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from attrs import frozen
from sqlalchemy import Connection, select

from broker.database.recipients import list_recipients
from broker.database.schema import recipients, sent
from broker.ingest.sent import SentStudy, find_sent, list_sending
from broker.members.registry import Member
from broker.pages.studies.origin_words import origin_words
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.languages import _
from p2pacs.pages.search.found_studies import PAGE
from p2pacs.pages.search.search_form import PAGES
from p2pacs.swarm.scheduling.priority import Priority
from p2pacs.texts import clean

LISTED: Final = PAGE * PAGES
"""The last ones of these studies: so many a search has at most."""

NamedMembers = Mapping[VirtualAddress, Member]


@frozen
class NamedMember:
    """A member with what its page is called by."""

    address: VirtualAddress
    name: str


@frozen
class StudyOrigin:
    """Which member made a study, and how far it is."""

    member: NamedMember
    words: str
    is_home: bool
    """Whether it is in the PACS."""
    began: int
    """When the member first asked to send it: milliseconds since 1970."""


@frozen
class StudyRecipient:
    """Whom a study is addressed to."""

    member: NamedMember
    is_stat: bool
    sender: str
    """Who addressed it: a member's name, or an administrator's."""


@frozen
class SentOnPage:
    """What a page tells of who sends a study, and to whom; of most there is nothing."""

    study: StudyId
    origin: StudyOrigin | None
    recipients: Sequence[StudyRecipient]

    @property
    def is_stat(self) -> bool:
        """Whether it is urgent to anybody."""
        return any(one.is_stat for one in self.recipients)


def read_sent(
    connection: Connection, studies: Collection[StudyId], members: NamedMembers
) -> dict[StudyId, SentOnPage]:
    """Those of a page's studies that a hospital sent, or that are addressed to one."""
    raw = [study.raw for study in studies]
    told = set(connection.scalars(select(sent.c.study).where(sent.c.study.in_(raw))))
    current = recipients.c.study.in_(raw), recipients.c.ended.is_(None)
    told |= set(connection.scalars(select(recipients.c.study).where(*current)))
    return {one: _shown(connection, one, members) for one in studies if one.raw in told}


def read_sending(connection: Connection, members: NamedMembers, most: int) -> list[SentOnPage]:
    """Those that hospitals send now, the latest first."""
    now = list_sending(connection)[::-1][:most]
    return [_shown(connection, one.study, members) for one in now]


def list_sent(connection: Connection) -> list[StudyId]:
    """All that hospitals sent, the latest first."""
    query = select(sent.c.study).order_by(sent.c.began.desc(), sent.c.study).limit(LISTED)
    return [StudyId(bytes(raw)) for raw in connection.scalars(query)]


def _shown(connection: Connection, study: StudyId, members: NamedMembers) -> SentOnPage:
    known = find_sent(connection, study)
    to = [
        StudyRecipient(_named(one.member, members), one.priority is Priority.STAT, clean(one.actor))
        for one in list_recipients(connection, study)
    ]
    return SentOnPage(study, None if known is None else _origin(known, members), to)


def _origin(known: SentStudy, members: NamedMembers) -> StudyOrigin:
    member = _named(known.member, members)
    return StudyOrigin(member, origin_words(known), not known.sending, known.began)


def _named(address: VirtualAddress, members: NamedMembers) -> NamedMember:
    member = members.get(address)
    return NamedMember(address, _("unknown") if member is None else clean(member.name))
