"""What the broker answers its members beside the swarm (messages 37 and 48 to 61)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import Final, Protocol, TypeVar

import structlog
import trio
from attrs import evolve, field, frozen
from sqlalchemy import Connection, exists, select

from broker import audit, feed, grants, registry
from broker.db import Database, read_counter
from broker.enrolment import Enrolment
from broker.grants import Asker
from broker.holders import Holders
from broker.instances import encode_instances
from broker.pacs.adapter import PacsAdapter
from broker.publish import Staging
from broker.schema import audit as trail
from broker.schema import studies as published
from broker.studies import Studies
from p2pacs.catalog.index import CatalogIndex
from p2pacs.catalog.records import StudyRecord
from p2pacs.errors import ProtocolError, StudyNotFoundError
from p2pacs.identity.directory import Directory, Role
from p2pacs.identity.keys import VerifyKey
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.store import ChunkStore
from p2pacs.swarm.host import Services
from p2pacs.swarm.whole import answer_whole
from p2pacs.wire import messages
from p2pacs.wire.messages import Message, Query, Reply

log = structlog.get_logger(__name__)

FIRST_VERSION: Final = 20.0
"""Seconds that a member waits for a study's first version; after that it comes as news."""

FRESH: Final = 20.0
"""Seconds for which a study that was compared with the PACS is not compared again."""

RULES_EVERY: Final = 0.5
"""Seconds between two looks at whether a read rule was changed, by form or command."""

_LINKS: Final = 4096
"""Links opened and closed that wait to be written down."""

Q = TypeVar("Q", bound=Query)


class Voice(Protocol):
    """How members are told something (`p2pacs.swarm.node.Node`)."""

    @property
    def linked(self) -> Collection[VirtualAddress]:
        """Members with whom there is a link."""

    def tell(self, member: VirtualAddress, message: Message) -> bool:
        """Send news to a member; whether it is linked."""

    def tell_linked(self, message: Message, roles: Collection[Role]) -> None:
        """Send news to all linked members with one of these roles."""


class Stages(Protocol):
    """Who publishes studies (`broker.publish.Publisher`)."""

    def stage(self, uid: str) -> Staging:
        """Publish what is not published yet of a study."""


class Directories(Protocol):
    """Who is who (`p2pacs.identity.book.DirectoryBook`)."""

    directory: Directory
    raw: bytes


@frozen
class Parts:
    """What the answers are made of."""

    database: Database
    book: Directories
    catalogue: CatalogIndex
    store: ChunkStore
    studies: Studies
    enrolment: Enrolment
    pacs: PacsAdapter
    broker_key: VerifyKey
    holders: Holders = field(factory=Holders)


class BrokerServices:
    """Answers queries, takes announcements, and tells who must know. `attach` comes first."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._voice: Voice
        self._stages: Stages
        self._compared: dict[StudyId, float] = {}
        self._links_in, self._links_out = trio.open_memory_channel[tuple[VirtualAddress, bool]](
            _LINKS
        )

    def attach(self, voice: Voice, stages: Stages) -> None:
        """Node and publisher, which are made after their services."""
        self._voice = voice
        self._stages = stages

    def table(self) -> Services:
        """The handlers by message."""
        return Services(
            queries={
                messages.WholeQuery: _only(messages.WholeQuery, self.whole),
                messages.StudyQuery: _only(messages.StudyQuery, self.study),
                messages.CatalogueQuery: _only(messages.CatalogueQuery, self.page),
                messages.InstancesQuery: _only(messages.InstancesQuery, self.instances),
                messages.AuditReport: _only(messages.AuditReport, self.report),
                messages.RenewQuery: _only(messages.RenewQuery, self._parts.enrolment.renew),
            },
            news={messages.Announce: self.announced},
            linked=lambda member: self._link(member, linked=True),
            unlinked=lambda member: self._link(member, linked=False),
        )

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Write down links, and watch the read rules, until cancelled."""
        await self._parts.database.run(registry.all_unlinked)
        task_status.started()
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._watch_rules)
                async for member, linked in self._links_out:
                    await self._seen(member, linked=linked)
        finally:
            with trio.CancelScope(shield=True):
                await self._parts.database.run(registry.all_unlinked)

    # ------------------------------------------------------------ studies

    async def study(self, member: VirtualAddress, query: messages.StudyQuery) -> Reply:
        """Key, newest root and holders of a study that the member may have; stages it.

        Raises:
            StudyNotFoundError: the catalogue does not have it.
            ForbiddenError: the member's rule does not allow it.
            PacsError: it is not published yet, and the PACS does not give it.
        """
        record = await self._record(StudyId(query.study))
        who = await self._admit(member, record, query.purpose)
        staging = await self._stage(record, who)
        if staging is not None:
            with trio.move_on_after(FIRST_VERSION):
                await staging.wait_version()
        wrapped = await self._parts.database.run(
            lambda c: grants.grant(c, self._parts.studies, who, record, query.purpose)
        )
        if not who.blind:
            self._replicate(record.study)
        return messages.StudyGrant(
            id=query.id,
            wrapped_key=wrapped,
            root=await self._root(record.study),
            holders=[bytes(one) for one in self._parts.holders.of(record.study, member)],
        )

    async def _record(self, study: StudyId) -> StudyRecord:
        record = await trio.to_thread.run_sync(self._parts.catalogue.get, study)
        if record is None:
            raise StudyNotFoundError(
                f"study {study.short} is not in the catalogue: it is gone from the PACS, or too new"
            )
        return record

    async def _admit(self, member: VirtualAddress, record: StudyRecord, purpose: str) -> Asker:
        """The asker, if it may have this study; a refusal is written down before it is told."""

        def work(connection: Connection) -> tuple[Asker, Exception | None]:
            who = grants.asker(connection, member)
            if who.blind or who.may_read(record):
                return who, None
            return who, grants.refuse(connection, who, record, purpose)

        who, refusal = await self._parts.database.run(work)
        if refusal is not None:
            log.warning("study refused", member=who.member.name, study=record.study.short)
            raise refusal
        return who

    async def _stage(self, record: StudyRecord, who: Asker) -> Staging | None:
        """Have it published; also what the PACS got since, unless that was just looked at."""
        known = await self._parts.studies.find(record.study)
        out = known is not None and known.version > 0 and self._parts.store.holds(record.study)
        now = trio.current_time()
        fresh = now - self._compared.get(record.study, -FRESH) < FRESH
        if out and (who.blind or fresh):
            return None
        self._compared[record.study] = now
        for study in [one for one, at in self._compared.items() if now - at >= FRESH]:
            del self._compared[study]
        return self._stages.stage(record.uid)

    async def _root(self, study: StudyId) -> bytes:
        if not self._parts.store.holds(study):
            return b""
        return (await self._parts.store.study(study)).root or b""

    def _replicate(self, study: StudyId) -> None:
        """Replicas that do not have it shall fetch it, while it travels to who asked."""
        have = set(self._parts.holders.of(study))
        for member in self._voice.linked:
            record = self._parts.book.directory.get(member)
            if record is not None and record.role is Role.REPLICA and member not in have:
                self._voice.tell(member, messages.Replicate(study.raw))

    async def whole(self, _member: VirtualAddress, query: messages.WholeQuery) -> Reply:
        """Whether the broker's own store has a study in whole."""
        return await answer_whole(self._parts.store, self._parts.broker_key, query)

    async def instances(self, member: VirtualAddress, query: messages.InstancesQuery) -> Reply:
        """Series and instances of a study, as the PACS lists them now.

        Raises:
            ForbiddenError: the member's rule does not allow the study.
            PacsError: the PACS does not answer.
        """
        record = await self._record(StudyId(query.study))
        await self._admit_reader(member, record)
        described = await self._parts.pacs.describe(record.uid)
        datasets, more = await trio.to_thread.run_sync(encode_instances, described)
        return messages.Instances(id=query.id, datasets=datasets, more=more)

    async def _admit_reader(self, member: VirtualAddress, record: StudyRecord) -> None:
        who = await self._admit(member, record, "list")
        if who.blind:
            raise ProtocolError("a blind replica has no need of instances")

    # ------------------------------------------------------------ catalogue, audit

    async def page(self, member: VirtualAddress, query: messages.CatalogueQuery) -> Reply:
        """The catalogue's changes as far as the member may read them, with keys."""

        def work(connection: Connection) -> Reply:
            who = grants.asker(connection, member)
            box_key = who.member.box_key
            if who.blind or box_key is None:
                return messages.CataloguePage(query.id, [], query.since, more=False, reset=False)
            page = feed.read_page(
                self._parts.catalogue,
                query.since,
                who.rule,
                who.member.read_version,
                lambda study: self._parts.studies.wrapped(connection, study, box_key),
            )
            grants.entrust(connection, who, page.granted)
            return messages.CataloguePage(
                query.id, page.entries, page.until, more=page.more, reset=page.reset
            )

        return await self._parts.database.run(work)

    async def report(self, member: VirtualAddress, query: messages.AuditReport) -> Reply:
        """Keep what was read at a member; a report that comes twice is kept once.

        Raises:
            MalformedMessageError: not audit records.
        """

        def work(connection: Connection) -> None:
            who = grants.asker(connection, member).member
            for entry in audit.of_report(query.records, who):
                if not _kept(connection, entry):
                    audit.record(connection, _with_uid(connection, entry))

        await self._parts.database.run(work)
        return messages.AuditKept(query.id)

    def grown(self, seq: int) -> None:
        """The catalogue has grown to this sequence number: tell who follows it."""
        news = messages.CatalogueNews(feed.position(seq, 0))
        self._voice.tell_linked(news, [Role.HOSPITAL])

    async def _watch_rules(self) -> None:
        known = await self._parts.database.run(lambda c: read_counter(c, registry.RULES))
        while True:
            await trio.sleep(RULES_EVERY)
            newest = await self._parts.database.run(lambda c: read_counter(c, registry.RULES))
            if newest != known:
                known = newest
                self.grown(await trio.to_thread.run_sync(lambda: self._parts.catalogue.seq))

    # ------------------------------------------------------------ members

    def announced(self, member: VirtualAddress, news: Message) -> None:
        """A member holds, fetches or dropped a study: tell those who fetch it."""
        if not isinstance(news, messages.Announce):
            raise ProtocolError("not an Announce")
        fetching = self._parts.holders.announce(member, news)
        for other in fetching:
            self._voice.tell(other, messages.HoldersNews(news.study, [bytes(member)]))

    def directory_changed(self, _directory: Directory) -> None:
        """There is a newer member directory: push it."""
        news = messages.DirectoryNews(self._parts.book.raw)
        self._voice.tell_linked(news, [Role.HOSPITAL, Role.REPLICA])

    def _link(self, member: VirtualAddress, *, linked: bool) -> None:
        if not linked:
            self._parts.holders.gone(member)
        try:
            self._links_in.send_nowait((member, linked))
        except trio.WouldBlock:
            log.warning("too many links change to write all of them down")

    async def _seen(self, member: VirtualAddress, *, linked: bool) -> None:
        await self._parts.database.run(lambda c: registry.seen(c, member, linked=linked))


def _only(
    kind: type[Q], handler: Callable[[VirtualAddress, Q], Awaitable[Reply]]
) -> Callable[[VirtualAddress, Query], Awaitable[Reply]]:
    async def handle(member: VirtualAddress, query: Query) -> Reply:
        if not isinstance(query, kind):
            raise ProtocolError(f"not a {kind.__name__}")
        return await handler(member, query)

    return handle


def _kept(connection: Connection, entry: audit.Entry) -> bool:
    same = (
        (trail.c.study == (entry.study and entry.study.raw))
        & (trail.c.address == (entry.address and entry.address.raw))
        & (trail.c.time == entry.time)
        & (trail.c.detail == entry.detail)
    )
    return bool(connection.execute(select(exists().where(same))).scalar_one())


def _with_uid(connection: Connection, entry: audit.Entry) -> audit.Entry:
    query = select(published.c.uid).where(published.c.study == (entry.study and entry.study.raw))
    return evolve(entry, uid=connection.execute(query).scalar_one_or_none())
