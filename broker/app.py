"""The one composition root of the broker: every part is built here, and every task started."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

import structlog
import trio
from attrs import frozen
from sqlalchemy import Connection

from broker.admins.actions import AdminActions
from broker.config import CATALOGUE, DATABASE, LOCK, STORE, UPLINK_RATE, BrokerSettings
from broker.database.db import BrokerDatabase, now, open_database
from broker.database.pacs_state import PacsState, keep_look, note_start, read_pacs
from broker.database.take_over import open_catalogue
from broker.handlers.addressing import AddressService
from broker.handlers.cancelling import CancelHooks, CancelService
from broker.handlers.copies import Copies
from broker.handlers.fetch_orders import FetchOrders
from broker.handlers.interfaces import Parts
from broker.handlers.member_news import MemberNews
from broker.handlers.members_now import MembersNow
from broker.handlers.own_traffic import OwnTraffic
from broker.handlers.reach import MemberTrials, dial_back
from broker.handlers.sent_studies import SentHooks, SentStudyService
from broker.handlers.services import BrokerServices
from broker.handlers.studies_now import StudiesNow
from broker.handlers.study_grants import record_missing
from broker.health import BrokerVitals, broker_checks, ends_at, read_folder
from broker.ingest.cancelled import CancelledParts, CancelledStudies
from broker.ingest.forwarding import Forwarding, ForwardingParts
from broker.ingest.storing import DecodeLarge
from broker.members import registry
from broker.members.membership import open_membership
from broker.members.registry import Member
from broker.metrics import METRICS, BrokerMetrics
from broker.pacs.adapter import PacsAdapter
from broker.pacs.adapters.opening import open_pacs
from broker.pacs.following.catalogue_sync import CatalogueSync
from broker.pages.content import AdminContent
from broker.pages.serving import open_certificate, run_pages
from broker.publish import Publisher
from broker.publish.catch_up import NEWEST, catch_up
from broker.publish.recovery import StudyRecovery
from broker.renewal import keep_renewed
from broker.setup import BrokerSecrets, load_keys
from broker.study_keys import StudyKeys
from p2pacs.catalogue.catalogue_index import CatalogueIndex
from p2pacs.catalogue.records import StudyRecord
from p2pacs.concurrency.until_possible import until_possible
from p2pacs.files.locks import held
from p2pacs.identity.dicom_tls import DicomTls
from p2pacs.identity.directory import Role
from p2pacs.ids import StudyId
from p2pacs.limits import MIB
from p2pacs.metrics.node_readings import NodeMetrics
from p2pacs.metrics.serving import run_metrics
from p2pacs.pages.site_certificate import PagesCertificate
from p2pacs.process.health import HealthCheck
from p2pacs.publish.coder import coder, slice_coder
from p2pacs.retention.recycler import Recycler, RecyclerTuning
from p2pacs.store import ChunkStore, open_store
from p2pacs.swarm.node import Line, Node, Services
from p2pacs.units import Endpoint
from p2pacs.web.addresses import machine_names
from p2pacs.workers.coding import Workers, open_workers
from p2pacs.workers.pool import StartWorker
from p2pacs.workers.process import WorkerProcess

log = structlog.get_logger(__name__)

RECYCLING: Final = RecyclerTuning(least=512 * MIB, served_seconds=15.0)
"""Asking for proofs again for every version of a study would be slow; and what the broker serves
others have, too, soon after it was published: it need not stay for long."""


@frozen
class BrokerFiles:
    """What a broker has open while it runs."""

    database: BrokerDatabase
    store: ChunkStore
    catalogue: CatalogueIndex
    pacs: PacsAdapter
    workers: Workers
    certificate: PagesCertificate | None
    """Of the pages; None without HTTPS."""


class Broker:
    """The parts of the broker."""

    def __init__(self, settings: BrokerSettings, keys: BrokerSecrets, files: BrokerFiles) -> None:
        """Build the parts; nothing runs before `run`."""
        self.settings = settings
        self.keys = keys
        self.files = files
        identity, store = keys.identity, files.store
        self.membership = open_membership(
            files.database, identity, keys.authority, keys.signing, settings
        )
        book, enrolment = self.membership.book, self.membership.enrolment
        self.parts = Parts(
            address=identity.address,
            database=files.database,
            book=book,
            broker_keys=book.keys,
            catalogue=files.catalogue,
            store=store,
            studies=StudyKeys(files.database, keys.study_secret, identity.box_key),
            enrolment=enrolment,
            pacs=files.pacs,
        )
        services, line = Services(), Line.of(settings.line, identity.folder.parent / UPLINK_RATE)
        self.node = Node(identity, book, store, line, services, settings.listen, enrolment.enrol)
        host = self.node.host
        self.engine = host.engine
        self.news = MemberNews(host, book)
        self.recycler = Recycler(
            identity, book, host, store, busy=self._busy, drop=self._drop, tuning=RECYCLING
        )
        self.recovery = StudyRecovery(self.engine.downloads, self.parts.holders.of)
        self.forwarding = self._make_forwarding()
        self.cancelled = CancelledStudies(
            CancelledParts(
                database=files.database,
                store=store,
                verifier=self.parts.broker_keys,
                pacs=files.pacs,
                studies=self.parts.studies,
                sending=self.parts.sending,
                stored=self._stored,
            )
        )
        self.publisher = self._make_publisher()
        self.catalogue_sync = self._make_catalogue_sync()
        self.own_traffic = OwnTraffic(
            files.database,
            identity.address,
            self.publisher.publications,
            self.engine.downloads.take_received,
        )
        self.trials = MemberTrials(book, dial_back(identity, book))
        linked = host.mesh.links.__contains__
        self.orders = FetchOrders(files.database, host.call, linked, me=identity.address)
        self.handlers = BrokerServices(
            self.parts,
            host,
            self.publisher,
            self.recycler,
            self.news,
            trials=self.trials,
            rules_changed=self.orders.look,
        )
        self.handlers.enter(services)
        self.members_now = MembersNow(self.parts.holders, store, host.agents)
        self.members_now.enter(services)
        self.copies = Copies(self.parts, self.engine.completeness)
        AddressService(
            self.parts, self.handlers.budgets, self._addressed, self.forwarding.urged
        ).enter(services)
        self.orders.enter(services)
        self.sent = SentStudyService(
            self.parts,
            self.publisher,
            self.handlers.budgets,
            keys.signing,
            SentHooks(
                listed=self._completed,
                expected=self.forwarding.expected,
                wanted=self.forwarding.wanted,
                replicate=self.handlers.study_grants.replicate,
                held=self.forwarding.held,
                out=self.orders.out,
                copies=self.copies.of,
                resumed=self.cancelled.resumed,
                why=self.forwarding.why,
            ),
        )
        self.sent.enter(services)
        hooks = CancelHooks(self.forwarding.stop, self.cancelled.begin, self._addressed)
        CancelService(self.parts, self.handlers.budgets, hooks).enter(services)

    def _make_forwarding(self) -> Forwarding:
        files, parts = self.files, self.parts
        return Forwarding(
            ForwardingParts(
                database=files.database,
                store=files.store,
                verifier=parts.broker_keys,
                pacs=files.pacs,
                decode=files.workers.decode,
                decode_large=DecodeLarge(
                    files.workers.decode_blobs, self.keys.identity.folder.parent
                ),
                studies=parts.studies,
                sending=parts.sending,
                downloads=self.engine.downloads,
                holders=parts.holders.of,
                ask=self.node.host.call,
                make_room=partial(self.recycler.make_room, 1),
                stored=self._stored,
            )
        )

    def _make_publisher(self) -> Publisher:
        files = self.files
        return Publisher(
            files.pacs,
            files.store,
            self.parts.studies,
            self.keys.signing,
            coder(files.workers, self.settings.coding),
            slice_coder=slice_coder(files.workers, self.settings.coding),
            updated=self.engine.updated,
            completed=self._completed,
            incomplete=partial(record_missing, files.database),
            gone=self._gone,
            recover=self.recovery.recover,
            make_room=partial(self.recycler.make_room, 1),
            is_sent=self.parts.sending.__contains__,
        )

    def _make_catalogue_sync(self) -> CatalogueSync:
        return CatalogueSync(
            self.files.pacs,
            self.files.catalogue,
            self.parts.studies.id_of,
            changed=self.news.catalogue_grown,
            restage=self._restage,
            today=lambda: datetime.now().astimezone().date(),
            every=self.settings.sweep.every_seconds,
            looked=partial(keep_look, self.files.database, self.keys.identity.address),
            stays=self.parts.sending.__contains__,
        )

    async def run(self, stop: trio.Event, *, task_status: trio.TaskStatus[dict[str, Any]]) -> None:
        """Serve until told to stop; reports where. Pages that are under way are served first."""
        keeper, database = self.membership.keeper, self.files.database
        self.membership.book.subscribe(self.news.directory_changed)
        await until_possible(keeper.refresh, DATABASE)
        await database.persist(lambda c: note_start(c, self.keys.identity.address))
        async with trio.open_nursery() as nursery:
            await nursery.start(self.handlers.run)
            listens: list[Endpoint] = await nursery.start(self.node.run)
            await nursery.start(self.forwarding.run)
            await nursery.start(self.publisher.run)
            await nursery.start(self.cancelled.run)
            await nursery.start(self.catalogue_sync.run)
            nursery.start_soon(self._catch_up)
            nursery.start_soon(keeper.watch)
            nursery.start_soon(self.recycler.run)
            nursery.start_soon(self.own_traffic.run)
            nursery.start_soon(self.orders.run)
            nursery.start_soon(keep_renewed, self.keys)
            if self.files.certificate is not None:
                nursery.start_soon(self.files.certificate.keep_renewed)
            async with trio.open_nursery() as pages:
                web: Endpoint = await pages.start(self._serve_pages, stop)
                metrics: Endpoint | None = await nursery.start(self._serve_metrics)
                task_status.started(self._ready(listens, web, metrics))
            log.info("stopping")
            nursery.cancel_scope.cancel()

    def _ready(
        self, listens: list[Endpoint], web: Endpoint, metrics: Endpoint | None
    ) -> dict[str, Any]:
        scheme = "https" if self.files.certificate else "http"
        return {
            "event": "ready",
            "name": self.settings.name,
            "address": str(self.keys.identity.address),
            "listen": [str(endpoint) for endpoint in listens],
            "web": f"{scheme}://{web}",
            "metrics": None if metrics is None else str(metrics),
        }

    async def _serve_pages(
        self, stop: trio.Event, *, task_status: trio.TaskStatus[Endpoint]
    ) -> None:
        actions = AdminActions(self.keys.authority, self.keys.identity.address, self.settings)
        await run_pages(
            self.files.database,
            actions,
            self.settings.web,
            self.files.certificate,
            AdminContent(
                self.files.catalogue,
                self.members_now,
                StudiesNow(self.parts, self.publisher),
                self.health,
            ),
            stop=stop,
            task_status=task_status,
        )

    async def health(self) -> list[HealthCheck]:
        """How the broker is, now."""
        me, workers = self.keys.identity.address, self.files.workers
        home, own = self.keys.identity.folder.parent, self.settings.web.certificate
        files = await trio.to_thread.run_sync(read_folder, home, own)

        def work(connection: Connection) -> tuple[PacsState, list[Member]]:
            return read_pacs(connection, me), registry.list_members(connection)

        pacs, members = await self.files.database.run(work)
        return broker_checks(
            BrokerVitals(
                settings=self.settings,
                at=now(),
                files=files,
                authority_ends=ends_at(self.keys.authority.certificate),
                pacs=pacs,
                members=members,
                publications=list(self.publisher.publications.values()),
                workers=len(workers.processes),
                deaths=workers.deaths,
                trials=self.trials.known,
            )
        )

    async def _serve_metrics(self, *, task_status: trio.TaskStatus[Endpoint | None]) -> None:
        folder = self.keys.identity.folder.parent
        node = NodeMetrics(
            "broker",
            lambda: str(Role.BROKER),
            self.node.host,
            self.membership.book,
            self.files.store,
            self.recycler,
            self.files.workers,
        )
        metrics = BrokerMetrics(
            folder, self.settings, node, self.files.database, self.publisher, self.health
        )
        settings = self.settings.metrics
        await run_metrics(metrics.gather, METRICS, folder, settings, task_status=task_status)

    async def _catch_up(self) -> None:
        newest = await self.parts.studies.newest(NEWEST)
        await catch_up(newest, self.parts.catalogue.get, self.publisher.stage)

    # ------------------------------------------------------------ what parts need of each other

    async def _completed(self, record: StudyRecord) -> None:
        await self.catalogue_sync.update(record)
        self.orders.out(record.study)

    async def _addressed(self, study: StudyId) -> None:
        await self.catalogue_sync.retell(study)
        self.orders.out(study)

    async def _gone(self, uid: str) -> None:
        await self.catalogue_sync.confirm_gone(uid)

    def _restage(self, uid: str, everything: bool) -> None:
        self.publisher.stage(uid, everything=everything)

    def _stored(self, uid: str, changed: bool) -> None:
        """A study that a member made is in the PACS: what that changed is published."""
        if changed:
            self.publisher.stage(uid, everything=True)
        self.catalogue_sync.hint(uid)

    def _busy(self, study: StudyId) -> bool:
        """Whether a study is being published, or fetched back: it stays in the store."""
        progress = self.publisher.publications.get(study)
        is_published = progress is not None and not progress.over
        is_fetched = self.recovery.is_fetching(study) or self.forwarding.is_busy(study)
        return is_published or is_fetched

    async def _drop(self, study: StudyId) -> None:
        self.engine.dropped(study)
        await self.files.store.drop(study)


@asynccontextmanager
async def open_broker(
    folder: Path, settings: BrokerSettings, start_worker: StartWorker = WorkerProcess
) -> AsyncIterator[Broker]:
    """A broker with its files open, not yet running.

    Args:
        folder: of the broker.
        settings: out of its ``broker.toml``.
        start_worker: starts a process for image codecs.

    Raises:
        StateError: another process runs it, or files are missing.
    """
    keys = load_keys(folder)
    async with AsyncExitStack() as stack:
        already = f"a broker runs in {folder} already: stop it first"
        await stack.enter_async_context(held(folder / LOCK, already))
        certificate = await open_certificate(folder, keys.authority, settings.web)
        database = await stack.enter_async_context(open_database(folder / DATABASE))
        store = open_store(folder / STORE, capacity=settings.store.capacity)
        tls = DicomTls(folder, settings.dicom_tls, settings.aet, machine_names)
        pacs = open_pacs(
            settings.central_pacs, aet=settings.aet, dicom=settings.dicom, tls=tls, folder=folder
        )
        files = BrokerFiles(
            database,
            await stack.enter_async_context(store),
            await open_catalogue(folder / CATALOGUE, database),
            await stack.enter_async_context(pacs),
            await stack.enter_async_context(open_workers(start=start_worker)),
            certificate,
        )
        yield Broker(settings, keys, files)


async def run_broker(
    folder: Path,
    settings: BrokerSettings,
    ready: Callable[[dict[str, Any]], None],
    stop: trio.Event,
) -> None:
    """Run a broker until it is told to stop.

    Args:
        folder: of the broker.
        settings: out of its ``broker.toml``.
        ready: told where it listens, once everything does.
        stop: set it to end in order.

    Raises:
        StateError: another process runs it, or an endpoint is taken.
    """
    async with open_broker(folder, settings) as broker, trio.open_nursery() as nursery:
        ready(await nursery.start(broker.run, stop))
