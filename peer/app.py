"""The one composition root of a peer: every part is built here, and every task started."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import structlog
import trio

from p2pacs.accounts.sessions import Session, Sessions
from p2pacs.catalogue.catalogue_index import CatalogueIndex
from p2pacs.concurrency.until_possible import until_possible
from p2pacs.dimse.association.remote import DimseRemote
from p2pacs.errors import ProtocolError
from p2pacs.files.locks import held
from p2pacs.identity.book import FILE, DirectoryBook
from p2pacs.identity.dicom_tls import DicomTls
from p2pacs.identity.directory import Role
from p2pacs.identity.node import NodeIdentity
from p2pacs.ids import StudyId
from p2pacs.mapping.mapped_port import mapped_port
from p2pacs.metrics.node_readings import NodeMetrics
from p2pacs.metrics.serving import run_metrics
from p2pacs.output.json_object import JsonObject
from p2pacs.retention.recycler import Recycler
from p2pacs.store import ChunkStore, open_store
from p2pacs.swarm.download.transfer import Transfer, TransferState
from p2pacs.swarm.node import Line, Node, Services
from p2pacs.swarm.scheduling.priority import Priority
from p2pacs.units import Endpoint
from p2pacs.web.addresses import machine_names
from p2pacs.wire.messages import messages
from p2pacs.wire.messages.messages import AuditReport, CataloguePage, CatalogueQuery, Query, Reply
from p2pacs.workers.coding import Workers, open_workers
from p2pacs.workers.pool import StartWorker
from p2pacs.workers.process import WorkerProcess
from peer.accounts.rights import USER_RIGHTS
from peer.api.activity import Activity
from peer.api.overview import PeerOverview
from peer.api.serving import run_api
from peer.config import (
    CATALOGUE_DB,
    IDENTITY,
    LOCK,
    PEER_DB,
    SPOOL,
    STORE,
    UPLINK_RATE,
    PeerSettings,
)
from peer.db import PeerDatabase, open_database
from peer.gateway.serving import DimseEndpoints, GatewayParts, open_dimse, run_web
from peer.metrics import METRICS, PeerMetrics
from peer.outbound import Outbound, OutboundParts, open_spool
from peer.retrieval.audit import AuditQueue
from peer.retrieval.instances.decoded_cache import DecodedCache, open_decoded_cache
from peer.retrieval.pending_fetches import PendingFetches
from peer.retrieval.reader import StudyReads
from peer.retrieval.sent_here import StudiesSentHere
from peer.retrieval.sources.grants import Grants
from peer.retrieval.sources.resolve import ResolvedStudy, Resolver
from peer.sending.sends import WorkstationSends
from peer.spool.spool import Spool
from peer.sync.announcer import HoldingsAnnouncer
from peer.sync.catalogue import CatalogueFollower
from peer.sync.renewal import keep_renewed
from peer.sync.replica import ReplicaSync
from peer.sync.services import PeerServices
from peer.sync.traffic_reports import TrafficReports
from peer.viewer.door import ViewerDoor

if TYPE_CHECKING:
    from peer.pages.sources.page_sources import ContentParts

ASK: Final = 20.0
"""Seconds for the broker to answer what the background asks it."""

K = TypeVar("K", bound=Reply)

log = structlog.get_logger(__name__)


class Peer:
    """The parts of one peer, and how news reaches them."""

    def __init__(
        self,
        settings: PeerSettings,
        identity: NodeIdentity,
        *,
        store: ChunkStore,
        database: PeerDatabase,
        catalogue: CatalogueIndex,
        workers: Workers,
        decoded: DecodedCache,
        spool: Spool | None,
    ) -> None:
        """Build the parts; nothing runs before `run`."""
        self.settings = settings
        self.identity = identity
        self.store = store
        self.database = database
        self.index = catalogue
        self.workers = workers
        self.decoded = decoded
        self.book = DirectoryBook(identity.folder / FILE, identity.broker_key)
        services = Services()
        self._join_the_network(services)
        self._read_studies()
        home = identity.folder.parent
        tls = DicomTls(home, settings.dicom_tls, settings.aet, machine_names)
        destinations = settings.gateway.remotes(tls.client)
        self.outbound = self._send(spool, destinations)
        self._serve_people(tls, destinations)
        self._enter(services)
        store.writer.lost = self._lost

    def _join_the_network(self, services: Services) -> None:
        """The node, and what keeps it and the broker told of each other."""
        identity, settings, store = self.identity, self.settings, self.store
        line = Line.of(settings.line, identity.folder.parent / UPLINK_RATE)
        asks = settings.map_port and not settings.advertise
        mapping = mapped_port if asks else None
        self.node = Node(
            identity, self.book, store, line, services, settings.listen, mapping=mapping
        )
        host = self.host = self.node.host
        self.audit = AuditQueue(self.database)
        self.traffic = TrafficReports(host.engine.downloads.take_received, self._report)
        self.catalogue = CatalogueFollower(self.index, self._page)
        self.holdings = HoldingsAnnouncer(host, store, self.book.keys)
        self.recycler = Recycler(identity, self.book, host, store, busy=self._busy, drop=self._drop)

    def _read_studies(self) -> None:
        """Studies that come here to be read, or to be held for others."""
        database, downloads = self.database, self.host.engine.downloads
        self.grants = Grants(database, self.identity.box_key)
        self.resolver = Resolver(self.identity, self.book, self.host, self.index, self.grants)
        self.pending = PendingFetches(database)
        self.sent_here = StudiesSentHere(database)
        self.reads = StudyReads(
            downloads,
            self.book.keys,
            self.store,
            self.resolver,
            workers=self.workers,
            audit=self.audit,
            began=self._began,
            asked=self.pending.asked,
            make_room=self.recycler.make_room,
            decoded=self.decoded,
            decode_ahead=self.settings.decodes_ahead,
        )
        start = partial(self.reads.start, priority=Priority.BACKGROUND)
        self.replica = ReplicaSync(database, self._find_blindly, start, self.recycler.make_room)

    def _send(self, spool: Spool | None, destinations: dict[str, DimseRemote]) -> Outbound | None:
        """Studies that are made here, where any are or were."""
        if spool is None:
            return None
        parts = OutboundParts(
            settings=self.settings,
            identity=self.identity,
            book=self.book,
            host=self.host,
            store=self.store,
            catalogue=self.index,
            workers=self.workers,
            database=self.database,
            grants=self.grants,
            holdings=self.holdings,
            recycler=self.recycler,
            destinations=destinations,
            check_membership=self.resolver.check_membership,
        )
        return Outbound(spool, parts)

    def _serve_people(self, tls: DicomTls, destinations: dict[str, DimseRemote]) -> None:
        """What workstations, commands and browsers ask."""
        settings, host, engine = self.settings, self.host, self.host.engine
        outbound = self.outbound
        self.activity = Activity(
            engine.downloads.transfers, engine.uploads, host.mesh.links, self.book
        )
        self.gateway_parts = GatewayParts(
            host,
            self.index,
            self.reads,
            self.workers,
            destinations,
            self.catalogue,
            tls,
            self.resolver.check_membership,
            outbound and outbound.take,
            outbound and outbound.files,
            outbound and outbound.commit_service,
        )
        self.sends = WorkstationSends(self.gateway_parts, settings)
        web = settings.web
        self._sessions = Sessions(web.idle_milliseconds, web.session_milliseconds, USER_RIGHTS)
        self.viewer_door = ViewerDoor(self._signed_in, outside=settings.gateway.viewer_origin)
        self.overview = PeerOverview(
            settings,
            identity=lambda: self.identity,
            role=lambda: self.role,
            book=self.book,
            host=host,
            store=self.store,
            catalogue=self.index,
            catalogue_age=lambda: self.catalogue.age,
            audit=self.audit,
            activity=self.activity,
            reads=self.reads,
            sent_here=self.sent_here,
            sent=outbound and outbound.desk,
            check_membership=self.resolver.check_membership,
            incoming=outbound and outbound.files,
            addresses=outbound and outbound.addressing,
        )

    def _enter(self, services: Services) -> None:
        """What other members and the broker ask of this one."""
        PeerServices(
            self.book,
            self.recycler,
            self.host.engine.downloads.transfers,
            catalogue=self.catalogue,
            holdings=self.holdings,
            audit=self.audit,
            pending=self.pending,
            sent_here=self.sent_here,
            reads=self.reads,
            replica=self.replica,
            outgoing=self.outbound and self.outbound.outgoing,
            blind=lambda: self.blind,
        ).enter(services)

    @property
    def role(self) -> Role:
        """What the administrator registered this member as."""
        member = self.book.directory.get(self.identity.address)
        return member.role if member else Role.HOSPITAL

    @property
    def blind(self) -> bool:
        """Whether it holds neither keys nor catalogue."""
        return self.role is Role.REPLICA

    # ------------------------------------------------------------ tasks

    async def run(self, *, task_status: trio.TaskStatus[list[Endpoint]]) -> None:
        """Take part in the network until cancelled; reports where it listens."""
        async with trio.open_nursery() as nursery:
            listens = await nursery.start(self.node.run)
            nursery.start_soon(self.holdings.run)
            nursery.start_soon(self.recycler.run)
            nursery.start_soon(keep_renewed, self.identity, self.host, self._renewed)
            nursery.start_soon(self.audit.run, self._report)
            nursery.start_soon(self.traffic.run)
            if self.blind:
                nursery.start_soon(self.replica.run)
            else:
                nursery.start_soon(self.catalogue.run)
                nursery.start_soon(self.reads.run)
                nursery.start_soon(self.decoded.run)
                nursery.start_soon(self.gateway_parts.dicomweb.run)
                nursery.start_soon(self.sends.run)
                nursery.start_soon(self.pending.run, self.reads.resume)
                if self.outbound is not None:
                    nursery.start_soon(self.outbound.run)
            task_status.started(listens)

    def gateway(self) -> AbstractAsyncContextManager[DimseEndpoints]:
        """The DICOM servers, open, and where they listen; see `open_dimse`."""
        return open_dimse(self.gateway_parts, self.settings, blind=self.blind)

    async def serve_viewer(self, *, task_status: trio.TaskStatus[str | None]) -> None:
        """The viewer, where it is set, until cancelled; see `run_viewer`."""
        if self.settings.gateway.viewer is None:
            task_status.started(None)
            return
        from peer.viewer.serving import ViewerParts, run_viewer  # noqa: PLC0415 - see `serve_pages`

        home = self.identity.folder.parent
        realm = self.identity.address.raw[-4:].hex()
        parts = ViewerParts(self.gateway_parts, self.viewer_door, realm, blind=self.blind)
        await run_viewer(home, parts, self.settings, task_status=task_status)

    async def _signed_in(self, token: str) -> Session | None:
        return await self.database.run(partial(self._sessions.find, token=token))

    async def serve_dicomweb(self, *, task_status: trio.TaskStatus[Endpoint | None]) -> None:
        """The DICOMweb services, until cancelled; see `run_web`."""
        await run_web(self.gateway_parts, self.settings, blind=self.blind, task_status=task_status)

    async def serve_metrics(
        self, folder: Path, *, task_status: trio.TaskStatus[Endpoint | None]
    ) -> None:
        """What Prometheus reads, where it is set, until cancelled; see `run_metrics`."""
        node = NodeMetrics(
            "peer",
            lambda: str(self.role),
            self.host,
            self.book,
            self.store,
            self.recycler,
            self.workers,
        )
        metrics = PeerMetrics(
            folder,
            self.settings,
            node,
            self.index,
            lambda: self.catalogue.age,
            self.audit,
            self.gateway_parts.durations,
            self.outbound and self.outbound.desk,
        )
        settings = self.settings.metrics
        await run_metrics(metrics.gather, METRICS, folder, settings, task_status=task_status)

    async def serve_pages(self, folder: Path, *, task_status: trio.TaskStatus[str | None]) -> None:
        """The hospital's pages, where they are set; reports their address, or None.

        Pages and viewer are imported where they are served: a tenth of the memory of a peer that
        has neither, as replicas and hospitals without pages are.
        """
        if self.settings.web.listen is None:
            task_status.started(None)
            return
        from peer.pages.content import PagesContent  # noqa: PLC0415
        from peer.pages.serving import PagesParts, run_pages  # noqa: PLC0415

        content = PagesContent(self.content_parts(folder))
        parts = PagesParts(self.database, self.identity.address, blind=self.blind, content=content)
        await run_pages(parts, folder, self.settings, task_status=task_status)

    def content_parts(self, folder: Path) -> ContentParts:
        """What the pages show and ask."""
        from peer.pages.sources.page_sources import ContentParts  # noqa: PLC0415 - see above

        return ContentParts(
            folder=folder,
            settings=self.settings,
            me=lambda: self.identity.address,
            book=self.book,
            host=self.host,
            store=self.store,
            database=self.database,
            catalogue=self.index,
            catalogue_age=lambda: self.catalogue.age,
            activity=self.activity,
            audit=self.audit,
            pending=self.pending,
            reads=self.reads,
            workers=self.workers,
            sends=self.sends,
            sent_here=self.sent_here,
            sent=self.outbound and self.outbound.desk,
            viewer=self.viewer_door,
            check_membership=self.resolver.check_membership,
        )

    # ------------------------------------------------------------ what the parts need

    def _lost(self, study: StudyId) -> None:
        """Chunks of a study have rotted: a replica is there to have it; others, who read it."""
        if self.blind:
            self.replica.order(study)

    async def _page(self, query: CatalogueQuery) -> CataloguePage:
        return await self._ask(query, CataloguePage)

    async def _report(self, report: AuditReport) -> None:
        await self._ask(report, messages.AuditKept)

    async def _ask(self, query: Query, kind: type[K]) -> K:
        reply = await self.host.call_broker(query, timeout=ASK)
        if not isinstance(reply, kind):
            raise ProtocolError(f"the broker answered a {type(query).__name__} with something else")
        return reply

    async def _find_blindly(self, study: StudyId) -> ResolvedStudy:
        return await self.resolver.find(study, "replicate")

    def _renewed(self, identity: NodeIdentity) -> None:
        self.identity = identity

    def _began(self, transfer: Transfer) -> None:
        self.holdings.began(transfer)
        self.activity.began()

    def _busy(self, study: StudyId) -> bool:
        transfer = self.host.engine.downloads.transfers.get(study)
        fetching = transfer is not None and transfer.state is TransferState.FETCHING
        return fetching or self.reads.in_use(study)

    async def _drop(self, study: StudyId) -> None:
        self.reads.forget(study)
        self.host.engine.dropped(study)
        await self.store.drop(study)
        self.holdings.dropped(study)


@asynccontextmanager
async def open_peer(
    folder: Path, settings: PeerSettings, start_worker: StartWorker = WorkerProcess
) -> AsyncIterator[Peer]:
    """A peer with its files open, not yet running.

    Args:
        folder: of the peer.
        settings: out of its ``peer.toml``.
        start_worker: starts a process for image codecs.

    Raises:
        StateError: another process runs it, or it has not joined.
    """
    identity = NodeIdentity.load(folder / IDENTITY)
    async with AsyncExitStack() as stack:
        already = f"the peer in {folder} is already running"
        await stack.enter_async_context(held(folder / LOCK, already))
        store = open_store(folder / STORE, capacity=settings.store.capacity)
        opened = await stack.enter_async_context(store)
        database = await stack.enter_async_context(open_database(folder / PEER_DB))
        open_catalogue = partial(trio.to_thread.run_sync, CatalogueIndex, folder / CATALOGUE_DB)
        catalogue = await until_possible(open_catalogue, CATALOGUE_DB)
        stack.callback(catalogue.close)
        workers = await stack.enter_async_context(open_workers(start=start_worker))
        cache = open_decoded_cache(folder, settings.gateway.decoded)
        decoded = await stack.enter_async_context(cache)
        spool = await open_spool(folder / SPOOL, settings)
        if spool is not None:
            stack.callback(spool.close)
        make = partial(Peer, settings, identity, store=opened, database=database)
        yield make(catalogue=catalogue, workers=workers, decoded=decoded, spool=spool)


async def run_peer(
    folder: Path, settings: PeerSettings, ready: Callable[[JsonObject], None], stop: trio.Event
) -> None:
    """Run a peer until it is told to stop.

    Args:
        folder: of the peer.
        settings: out of its ``peer.toml``.
        ready: told where it listens, once everything does.
        stop: set it to end in order: what was received is on disk then.

    Raises:
        StateError: another process runs it, it has not joined, or an endpoint is taken.
    """
    async with open_peer(folder, settings) as peer, trio.open_nursery() as nursery:
        listens: list[Endpoint] = await nursery.start(peer.run)
        async with peer.gateway() as dicom:
            dicomweb = await nursery.start(peer.serve_dicomweb)
            web = await nursery.start(peer.serve_pages, folder)
            viewer = await nursery.start(peer.serve_viewer)
            metrics = await nursery.start(peer.serve_metrics, folder)
            # last: whom it answers, finds all the rest there
            api = await nursery.start(run_api, peer.overview, folder, settings.api)
            ready(
                {
                    "event": "ready",
                    "name": settings.name,
                    "role": str(peer.role),
                    "address": str(peer.identity.address),
                    "listen": [str(endpoint) for endpoint in listens],
                    "aet": settings.aet,
                    "dicom": dicom.plain and str(dicom.plain),
                    "dicom_tls": dicom.tls and str(dicom.tls),
                    "dicomweb": None if dicomweb is None else str(dicomweb),
                    "sends": peer.overview.incoming is not None,
                    "viewer": viewer,
                    "web": web,
                    "metrics": None if metrics is None else str(metrics),
                    "api": str(api),
                }
            )
            await stop.wait()
            log.info("stopping")
            peer.pending.close()
        nursery.cancel_scope.cancel()
