"""What a peer answers and hears beside the swarm: proofs, and the broker's news."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import structlog

from p2pacs.errors import ProtocolError
from p2pacs.identity.book import DirectoryBook
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.retention.recycler import Recycler
from p2pacs.swarm.download.transfer import Transfer
from p2pacs.swarm.host import Services
from p2pacs.swarm.scheduling.priority import Priority
from p2pacs.wire.messages import messages
from p2pacs.wire.messages.messages import Message, Query, Reply
from peer.retrieval.audit import AuditQueue
from peer.retrieval.pending_fetches import PendingFetches
from peer.retrieval.sent_here import SentHere, StudiesSentHere
from peer.sync.announcer import HoldingsAnnouncer
from peer.sync.catalogue import CatalogueFollower
from peer.sync.replica import ReplicaSync

log = structlog.get_logger(__name__)


class SendsStudies(Protocol):
    """Who publishes what is made here (`peer.ingest.outgoing.OutgoingStudies`)."""

    def linked(self) -> None:
        """A broker is there (again)."""


class EndsReads(Protocol):
    """Who fetches studies for readers (`peer.retrieval.reader.StudyReads`)."""

    def end_order(self, study: StudyId, *, cancelled: bool) -> None:
        """The broker wants a study fetched no more; if cancelled, nobody here can have the rest."""


class PeerServices:
    """Passes on what members ask and tell to the part that it concerns."""

    def __init__(
        self,
        book: DirectoryBook,
        recycler: Recycler,
        transfers: Mapping[StudyId, Transfer],
        *,
        catalogue: CatalogueFollower,
        holdings: HoldingsAnnouncer,
        audit: AuditQueue,
        pending: PendingFetches,
        sent_here: StudiesSentHere,
        reads: EndsReads,
        replica: ReplicaSync,
        outgoing: SendsStudies | None,
        blind: Callable[[], bool],
    ) -> None:
        """Nothing is heard before `enter`.

        Args:
            book: says who is a broker.
            recycler: proves what is held here.
            transfers: may be told of further holders.
            catalogue: hears of news, and of the broker's return, as those do:
            holdings: what is held here is announced then.
            audit: what was read is reported then.
            pending: what was not fetched is tried again then.
            sent_here: remembers who sent what to this member.
            reads: what the broker wants fetched no more is stopped there.
            replica: takes the orders to replicate.
            outgoing: what is sent from here is tried again then; None: nothing is.
            blind: whether this peer is a replica.
        """
        self._book = book
        self._recycler = recycler
        self._transfers = transfers
        self._catalogue = catalogue
        self._holdings = holdings
        self._audit = audit
        self._pending = pending
        self._sent_here = sent_here
        self._reads = reads
        self._replica = replica
        self._outgoing = outgoing
        self._blind = blind

    def enter(self, services: Services) -> None:
        """Enter the handlers, by message, among what a host answers."""
        services.queries[messages.PossessionQuery] = self._prove
        services.queries[messages.FetchOrder] = self._order
        services.queries[messages.FetchEnd] = self._end
        services.news[messages.CatalogueNews] = self._catalogue_news
        services.news[messages.HoldersNews] = self._holders_news
        services.news[messages.Replicate] = self._replicate
        services.linked = self._linked

    async def _prove(self, member: VirtualAddress, query: Query) -> Reply:
        if not isinstance(query, messages.PossessionQuery):
            raise ProtocolError("not a PossessionQuery")
        return await self._recycler.answer(member, query)

    async def _order(self, member: VirtualAddress, query: Query) -> Reply:
        self._only_a_broker(member)
        if not isinstance(query, messages.FetchOrder):
            raise ProtocolError("not a FetchOrder")
        if self._blind():
            raise ProtocolError("a replica reads nothing")
        study, priority = StudyId(query.study), Priority(query.priority)
        sender = VirtualAddress(query.sender)
        await self._sent_here.note(SentHere(study, sender, priority, query.addressed))
        await self._pending.order(study, query.version, priority)
        return messages.FetchOrderKept(query.id)

    async def _end(self, member: VirtualAddress, query: Query) -> Reply:
        self._only_a_broker(member)
        if not isinstance(query, messages.FetchEnd):
            raise ProtocolError("not a FetchEnd")
        study, cancelled = StudyId(query.study), query.cancelled
        log.info("the broker ends a fetch", study=study.short, cancelled=cancelled)
        await self._sent_here.ended(study)
        await self._pending.end(study, cancelled=cancelled)
        self._reads.end_order(study, cancelled=cancelled)
        return messages.FetchEndKept(query.id)

    def _linked(self, member: VirtualAddress) -> None:
        if member in self._book.directory.brokers:
            self._catalogue.wake()
            self._audit.wake()
            self._pending.wake()
            self._replica.wake()
            if self._outgoing is not None:
                self._outgoing.linked()
            self._holdings.linked()

    def _catalogue_news(self, member: VirtualAddress, _news: Message) -> None:
        self._only_a_broker(member)
        self._catalogue.wake()

    def _holders_news(self, member: VirtualAddress, news: Message) -> None:
        self._only_a_broker(member)
        if isinstance(news, messages.HoldersNews) and (
            transfer := self._transfers.get(StudyId(news.study))
        ):
            transfer.add_holders(map(VirtualAddress, news.holders))

    def _replicate(self, member: VirtualAddress, news: Message) -> None:
        self._only_a_broker(member)
        if self._blind() and isinstance(news, messages.Replicate):
            self._replica.order(StudyId(news.study))

    def _only_a_broker(self, member: VirtualAddress) -> None:
        if member not in self._book.directory.brokers:
            raise ProtocolError("only a broker may say this")
