"""Studies that are made here: taken in, addressed, published, shown to people, and committed to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, final

import trio
from sqlalchemy import Connection

from p2pacs.dataset.incoming import IncomingInstance, InstanceUids
from p2pacs.dimse.association.remote import DimseRemote
from p2pacs.identity.book import DirectoryBook
from p2pacs.identity.sending_key import load_sending_key
from p2pacs.ids import StudyId
from p2pacs.publish.coder import coder, slice_coder
from p2pacs.study.images import Coding
from p2pacs.swarm.scheduling.priority import Priority
from peer.commitment.commitments import DAY, Commitments, CommitmentTuning
from peer.commitment.copied_studies import CopiedStudies
from peer.commitment.states import list_states
from peer.config import PeerSettings
from peer.ingest.addressing import StudyAddressing
from peer.ingest.incoming_files import IncomingFiles
from peer.ingest.intake import Intake
from peer.ingest.outgoing import OutgoingStudies
from peer.ingest.outgoing_desk import OutgoingDesk
from peer.ingest.outgoing_parts import OutgoingParts, OutgoingTuning
from peer.ingest.source import Arrivals
from peer.spool.recipient_rules import RecipientRule
from peer.spool.records import StudyCommitment
from peer.spool.spool import Spool

if TYPE_CHECKING:
    from p2pacs.catalogue.catalogue_index import CatalogueIndex
    from p2pacs.identity.node import NodeIdentity
    from p2pacs.retention.recycler import Recycler
    from p2pacs.store import ChunkStore
    from p2pacs.swarm.host import Host
    from p2pacs.workers.coding import Workers
    from peer.db import PeerDatabase
    from peer.retrieval.sources.grants import Grants
    from peer.sync.announcer import HoldingsAnnouncer


@dataclass(frozen=True, slots=True)
class OutboundParts:
    """What sending needs of the rest of the peer."""

    settings: PeerSettings
    identity: NodeIdentity
    book: DirectoryBook
    host: Host
    store: ChunkStore
    catalogue: CatalogueIndex
    workers: Workers
    database: PeerDatabase
    grants: Grants
    holdings: HoldingsAnnouncer
    recycler: Recycler
    destinations: Mapping[str, DimseRemote]
    """Who is told over an association of its own that it may delete what it stored here."""
    check_membership: Callable[[], None]


@final
class Outbound:
    """The parts of sending, of a peer that sends or once did."""

    def __init__(self, spool: Spool, parts: OutboundParts) -> None:
        """Build the parts; nothing runs before `run`."""
        self.spool = spool
        self._parts = parts
        self._workers = parts.workers
        self.addressing = self._address_studies()
        self.outgoing = self._publish_studies()
        self.desk = self._show_sent()
        self.commitments = self._commit()
        enabled = parts.settings.sending.enabled
        self.files = (
            IncomingFiles(spool, parts.settings.aet, parts.check_membership) if enabled else None
        )
        """Keeps instances that come over HTTP, where they may."""
        self.take = self._intake() if enabled else None
        """Keeps an instance that a scanner stores, where it may."""
        self.commit_service = self.commitments.service if enabled else None
        """Takes what scanners ask to be committed to, where they may store."""

    def _address_studies(self) -> StudyAddressing:
        """To whom the studies go."""
        parts = self._parts
        return StudyAddressing(
            self.spool.index,
            _recipient_rules(parts.settings),
            parts.host.call_broker,
            lambda: parts.book.directory,
            me=parts.identity.address,
        )

    def _publish_studies(self) -> OutgoingStudies:
        """What brings the studies into the swarm."""
        parts, downloads = self._parts, self._parts.host.engine.downloads
        arrivals = Arrivals()
        self.spool.came = arrivals.came
        needed = OutgoingParts(
            address=parts.identity.address,
            key=load_sending_key(parts.identity.folder),
            verifier=parts.book.keys,
            ask_broker=parts.host.call_broker,
            fetch=downloads.fetch,
            updated=parts.host.engine.updated,
            is_busy=parts.host.engine.is_busy,
            store=parts.store,
            catalogue=parts.catalogue,
            coder=partial(coder, parts.workers, Coding.SMALLEST),
            slice_coder=partial(slice_coder, parts.workers, Coding.SMALLEST),
            keep_key=parts.grants.keep,
            make_room=parts.recycler.make_room,
            addressing=self.addressing,
            withhold=self._withhold,
            give=parts.host.engine.give,
            published=parts.holdings.published,
        )
        return OutgoingStudies(self.spool, arrivals, needed, OutgoingTuning())

    def _withhold(self, study: StudyId) -> None:
        """Nothing of a study leaves this hospital any more."""
        self._parts.host.engine.withhold(study)
        self._parts.holdings.dropped(study)

    def _show_sent(self) -> OutgoingDesk:
        """What people see of the studies, and do about them."""
        parts = self._parts

        async def keep(actor: str, what: str, detail: str) -> None:
            await parts.database.run(lambda c: _note(c, actor, what, detail))

        linked = lambda: parts.host.mesh.broker_linked  # noqa: E731

        async def commitments(uids: Sequence[str]) -> dict[str, list[StudyCommitment]]:
            return await parts.database.run(lambda c: list_states(c, uids))

        return OutgoingDesk(self.spool, self.outgoing, self.addressing, linked, keep, commitments)

    def _intake(self) -> Callable[[InstanceUids, str], IncomingInstance]:
        intake = Intake(self.spool, self._parts.settings.sending.callers)
        return lambda uids, caller: intake.receive(caller, uids)

    def _commit(self) -> Commitments:
        """What tells scanners whether what they stored here is safe."""
        parts, sending = self._parts, self._parts.settings.sending
        copies = CopiedStudies(parts.recycler.copies.count_whole, sending.commit_copies)
        return Commitments(
            parts.database,
            self.spool,
            copies,
            aet=parts.settings.aet,
            destinations=parts.destinations,
            note=_note,
            callers=sending.callers,
            tuning=CommitmentTuning(patience=sending.commit_days * DAY),
        )

    async def run(self) -> None:
        """Send what came, and tell who asked, until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.outgoing.run)
            nursery.start_soon(self._workers.stay_ready)
            nursery.start_soon(self.commitments.run)
            nursery.start_soon(self.addressing.run)


def _note(connection: Connection, actor: str, what: str, detail: str = "") -> None:
    from peer.accounts.trail import note  # noqa: PLC0415 - argon2, for this alone

    note(connection, actor, what, detail)


def _recipient_rules(settings: PeerSettings) -> list[RecipientRule]:
    """To whom studies go, as the settings say."""
    return [
        RecipientRule(name, said.callers, said.institutions, Priority.named(said.priority))
        for name, said in settings.sending.to.items()
    ]


async def open_spool(folder: Path, settings: PeerSettings) -> Spool | None:
    """The spool, if this peer sends, or something is left of when it did.

    Raises:
        StateError: it is of a newer version.
    """

    def work() -> Spool | None:
        if not settings.sending.enabled and not folder.exists():
            return None
        return Spool(folder, reserve=settings.sending.reserve)

    return await trio.to_thread.run_sync(work)
