"""What the broker answers its members beside the swarm (messages 37 and 48 to 61)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, TypeVar

import structlog
import trio
from sqlalchemy import Connection

from broker.database.db import read_counter
from broker.database.recipients import addressed_among
from broker.handlers import feed, grants
from broker.handlers.budgets import Budgets
from broker.handlers.holder_news import HolderNews
from broker.handlers.interfaces import MemberLinks, Parts, PossessionProver, StudyPublisher
from broker.handlers.member_news import MemberNews
from broker.handlers.reach import MemberTrials
from broker.handlers.reported_reads import keep_reported, of_report
from broker.handlers.study_grants import StudyGrants
from broker.members import presence, registry, traffic
from p2pacs.concurrency.until_possible import until_possible
from p2pacs.errors import LocalError, ProtocolError
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.swarm.host import Services
from p2pacs.wire.messages import messages
from p2pacs.wire.messages.messages import Message, Query, Reply
from p2pacs.wire.messages.received import is_received, unpack_received

log = structlog.get_logger(__name__)

RULES_EVERY: Final = 0.5
"""Seconds between two looks at whether a read rule was changed, by form or command."""

_LINKS: Final = 4096
"""Links opened and closed that wait to be written down."""

Q = TypeVar("Q", bound=Query)


def _nothing() -> None:
    return


class BrokerServices:
    """Answers queries, takes announcements, and tells who must know."""

    def __init__(
        self,
        parts: Parts,
        links: MemberLinks,
        publisher: StudyPublisher,
        prover: PossessionProver,
        news: MemberNews,
        *,
        trials: MemberTrials,
        rules_changed: Callable[[], None] = _nothing,
        rules_every: float = RULES_EVERY,
    ) -> None:
        self._parts = parts
        self.budgets = Budgets()
        """What each member may ask."""
        self.study_grants = StudyGrants(parts, links, publisher, self.budgets)
        self._prover = prover
        self._news = news
        self._trials = trials
        self._rules_changed = rules_changed
        self._rules_every = rules_every
        self._holder_news = HolderNews(links.tell)
        self._links_in, self._links_out = trio.open_memory_channel[tuple[VirtualAddress, bool]](
            _LINKS
        )

    def enter(self, services: Services) -> None:
        """Enter the handlers, by message, among what a node answers."""
        single = self.study_grants
        services.queries.update(
            {
                messages.PossessionQuery: _only(messages.PossessionQuery, self.whole),
                messages.StudyQuery: _only(messages.StudyQuery, single.study),
                messages.CatalogueQuery: _only(messages.CatalogueQuery, self.page),
                messages.InstancesQuery: _only(messages.InstancesQuery, single.instances),
                messages.AuditReport: _only(messages.AuditReport, self.report),
                messages.RenewQuery: _only(messages.RenewQuery, self._parts.enrolment.renew),
                messages.ReachQuery: _only(messages.ReachQuery, self._trials.answer),
            }
        )
        services.news[messages.Announce] = self.announced
        services.linked = partial(self._link, linked=True)
        services.unlinked = partial(self._link, linked=False)

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Write down links, and watch the read rules, until cancelled."""
        await self._parts.database.persist(self._none_linked)
        task_status.started()
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._watch_rules)
                nursery.start_soon(self._holder_news.run)
                async for member, linked in self._links_out:
                    await self._seen(member, linked=linked)
        finally:
            with trio.CancelScope(shield=True):
                try:
                    await self._parts.database.run(self._none_linked)
                except LocalError as error:  # the next start does it
                    log.warning("links are not noted as closed", error=str(error))

    # ------------------------------------------------------------ catalogue, audit

    async def page(self, member: VirtualAddress, query: messages.CatalogueQuery) -> Reply:
        """The catalogue's changes as far as the member may read them, with keys."""

        def work(connection: Connection) -> Reply:
            who = grants.asking_member(connection, member)
            box_key = who.member.box_key
            if who.blind or box_key is None:
                return messages.CataloguePage(query.id, [], query.since, more=False, reset=False)
            page = feed.read_page(
                self._parts.catalogue,
                query.since,
                who.rule,
                who.member.read_version,
                lambda study: self._parts.studies.wrapped(connection, study, box_key),
                addressed=partial(addressed_among, connection, member),
            )
            grants.entrust(connection, who, page.granted)
            return messages.CataloguePage(
                query.id, page.entries, page.until, more=page.more, reset=page.reset
            )

        async with self.budgets.turn(member) as turn:
            return await self._parts.database.run(turn.timed(work))

    async def whole(self, member: VirtualAddress, query: messages.PossessionQuery) -> Reply:
        """Whether the broker's own store has a study in whole."""
        return await self._prover.answer(member, query)

    async def report(self, member: VirtualAddress, query: messages.AuditReport) -> Reply:
        """Keep what was read at a member, and what it received; a report that comes twice is kept
        once.

        Raises:
            MalformedMessageError: not audit records.
            BusyError: more than a member may report; it keeps them and tries again.
        """

        def work(connection: Connection) -> None:
            who = grants.asking_member(connection, member).member
            reads = [raw for raw in query.records if not is_received(raw)]
            keep_reported(connection, who.address, of_report(reads, who))
            received = [unpack_received(raw) for raw in query.records if is_received(raw)]
            traffic.keep_received(connection, who.address, received)

        self.budgets.take_records(member, len(query.records))
        async with self.budgets.turn(member) as turn:
            await self._parts.database.run(turn.timed(work))
        return messages.AuditKept(query.id)

    async def _watch_rules(self) -> None:
        known = await self._parts.database.persist(lambda c: read_counter(c, registry.RULES))
        while True:
            await trio.sleep(self._rules_every)
            newest = await self._parts.database.persist(lambda c: read_counter(c, registry.RULES))
            if newest != known:
                read = partial(trio.to_thread.run_sync, lambda: self._parts.catalogue.seq)
                self._news.catalogue_grown(await until_possible(read, "the catalogue"))
                self._rules_changed()
                known = newest

    # ------------------------------------------------------------ members

    def announced(self, member: VirtualAddress, news: Message) -> None:
        """A member holds, fetches or dropped a study: those who fetch it hear of it."""
        if not isinstance(news, messages.Announce):
            raise ProtocolError("not an Announce")
        study = StudyId(news.study)
        fetching = self._parts.holders.announce(member, news)
        for other in fetching:
            self._holder_news.add(other, study, [member])
        if fetching and not news.complete:  # those who asked when it did are not in its grant
            self._holder_news.add(member, study, fetching)

    def _link(self, member: VirtualAddress, *, linked: bool) -> None:
        if not linked:
            self._parts.holders.gone(member)
        try:
            self._links_in.send_nowait((member, linked))
        except trio.WouldBlock:
            log.warning("too many links change to write all of them down")

    async def _seen(self, member: VirtualAddress, *, linked: bool) -> None:
        me = self._parts.address
        await self._parts.database.persist(lambda c: presence.seen(c, me, member, linked=linked))

    def _none_linked(self, connection: Connection) -> None:
        presence.none_linked(connection, self._parts.address)


def _only(
    kind: type[Q], handler: Callable[[VirtualAddress, Q], Awaitable[Reply]]
) -> Callable[[VirtualAddress, Query], Awaitable[Reply]]:
    async def handle(member: VirtualAddress, query: Query) -> Reply:
        if not isinstance(query, kind):
            raise ProtocolError(f"not a {kind.__name__}")
        return await handler(member, query)

    return handle
