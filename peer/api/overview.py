"""What a running peer says of itself to the local interface: its state, studies, what moves."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Final

import trio
from attrs import frozen

from p2pacs.catalogue.catalogue_index import CatalogueIndex
from p2pacs.errors import ProtocolError, StateError
from p2pacs.identity.book import DirectoryBook
from p2pacs.identity.directory import Role
from p2pacs.identity.node import NodeIdentity
from p2pacs.ids import StudyId
from p2pacs.output.json_object import JsonObject
from p2pacs.store import ChunkStore
from p2pacs.swarm.download.transfer import Transfer
from p2pacs.swarm.host import Host
from p2pacs.texts import clean
from p2pacs.version import own_version
from p2pacs.wire.messages.messages import Reach, ReachQuery
from peer.api.activity import Activity
from peer.api.outgoing import Addresses
from peer.api.outgoing_studies import sending_json
from peer.api.reached import HowReached
from peer.api.search import find_studies, sender_json, studies_of, with_senders
from peer.api.status import broker_json, gateway_json, link_json
from peer.config import PeerSettings
from peer.ingest.incoming_files import IncomingFiles
from peer.ingest.outgoing_desk import OutgoingDesk
from peer.retrieval.audit import AuditQueue
from peer.retrieval.reader import StudyReads
from peer.retrieval.sent_here import StudiesSentHere

SENT: Final = 10_000
"""Studies that were sent here, the last ones, among which is searched."""

REACH: Final = 20.0
"""Seconds: longer than the broker tries an address."""


@frozen
class PeerOverview:
    """What the interface asks of the peer (a `peer.api.api.ServedPeer`)."""

    settings: PeerSettings
    identity: Callable[[], NodeIdentity]
    """With the certificate of now."""
    role: Callable[[], Role]
    book: DirectoryBook
    host: Host
    store: ChunkStore
    catalogue: CatalogueIndex
    catalogue_age: Callable[[], float | None]
    """Seconds since it was as new as the broker's; None if not since the start."""
    audit: AuditQueue
    activity: Activity
    reads: StudyReads
    sent_here: StudiesSentHere
    """Who sent which study to this hospital."""
    sent: OutgoingDesk | None
    """Studies that are sent from here; None: none can be."""
    check_membership: Callable[[], None]
    """Raises a RevokedError where this member was revoked."""
    incoming: IncomingFiles | None = None
    """Takes files that are sent; None where none may be."""
    addresses: Addresses | None = None
    """Keeps to whom studies go; None where nothing is sent."""

    async def status(self) -> JsonObject:
        """What the peer is and does."""
        moving = await self.transfers()
        sent = self.host.engine.uploads.bytes_sent
        identity, role = self.identity(), self.role()
        return {
            "name": self.settings.name,
            "version": own_version(),
            "address": str(identity.address),
            "role": str(role),
            "certificate_expires": identity.expires.isoformat(),
            "broker": broker_json(identity, self.book, self.host.mesh),
            "gateway": gateway_json(self.settings, role),
            "reached": HowReached(self.host, self.book, lambda: identity.address).json(),
            "links": [
                link_json(member, self.book, link, sent=sent.get(member, 0))
                for member, link in sorted(self.host.mesh.links.items())
            ],
            "store": {
                "used": self.store.used,
                "capacity": self.store.capacity,
                "studies": len(self.store.studies()),
            },
            "catalogue": {
                "studies": await trio.to_thread.run_sync(len, self.catalogue),
                "age": self.catalogue_age(),
            },
            "audit_waiting": await self.audit.waiting(),
            "sending": None
            if self.sent is None
            else sending_json(await self.sent.list_studies(), time.time()),
            **moving,
        }

    async def reach(self) -> JsonObject:
        """How the broker sees this peer: by how much the clocks differ, and whether it can be
        dialled at the addresses that others are told.

        Raises:
            P2PacsError: the broker is away, or busy with others.
        """
        reply = await self.host.call_broker(ReachQuery(0, _now()), timeout=REACH)
        if not isinstance(reply, Reach):
            raise ProtocolError("the broker answered a ReachQuery with something else")
        return {
            "clock": (_now() - reply.time) / 1000,
            "reached": [clean(one) for one in reply.reached],
            "missed": [clean(one) for one in reply.missed],
        }

    async def find(self, keys: dict[str, str], *, sent: bool = False) -> list[JsonObject]:
        """Studies that match these keys (DICOM keyword → value).

        Args:
            keys: what is looked for.
            sent: only among those that were sent to this hospital.

        Raises:
            RevokedError: this member was revoked.
        """
        self.check_membership()
        newest = await self.sent_here.newest(SENT) if sent else []
        among = [one.study for one in newest] if sent else None
        found = await trio.to_thread.run_sync(find_studies, self.catalogue, keys, among)
        studies = await trio.to_thread.run_sync(studies_of, self.catalogue, found)
        senders = await self.sent_here.find(studies.values())
        return with_senders(found, studies, senders, self.book)

    async def transfers(self) -> JsonObject:
        """All transfers, newest first, and uploads."""
        await self.activity.settle()
        told = await self._with_senders(self.activity.transfers())
        return {"transfers": told, "uploads": self.activity.uploads()}

    async def transfer(self, transfer: Transfer) -> JsonObject:
        """One transfer as it is now."""
        (told,) = await self._with_senders([self.activity.transfer(transfer)])
        return told

    async def events(self) -> AsyncGenerator[JsonObject, None]:
        """Transfers and uploads, again whenever something changed."""
        async with aclosing(self.activity.events()) as events:
            async for event in events:
                yield {**event, "transfers": await self._with_senders(event["transfers"])}

    async def _with_senders(self, transfers: list[JsonObject]) -> list[JsonObject]:
        """With who sent each study to this hospital."""
        senders = await self.sent_here.find([StudyId.parse(one["study"]) for one in transfers])
        return [
            one | sender_json(senders.get(StudyId.parse(one["study"])), self.book)
            for one in transfers
        ]

    def incoming_files(self) -> IncomingFiles:
        """What takes files that are sent.

        Raises:
            StateError: nothing is sent from here.
        """
        if self.role() is Role.REPLICA:
            raise StateError("a replica sends nothing: send at the peer of a hospital")
        if self.incoming is None:
            raise StateError(
                "this peer sends nothing: set enabled = true under [sending] in its peer.toml, and "
                "start it again"
            )
        return self.incoming


def _now() -> int:
    return int(time.time() * 1000)
