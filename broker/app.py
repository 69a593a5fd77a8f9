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

from broker.config import CATALOGUE, DATABASE, LOCK, STORE, WEB, BrokerSettings
from broker.database.db import BrokerDatabase, open_database
from broker.database.pacs_state import note_look, note_start
from broker.database.take_over import take_over
from broker.handlers.interfaces import Parts
from broker.handlers.member_news import MemberNews
from broker.handlers.services import BrokerServices
from broker.handlers.study_grants import record_missing
from broker.members.admin_actions import AdminActions
from broker.members.directory import DirectoryKeeper, broker_record
from broker.members.enrolment import Enrolment
from broker.pacs.adapter import PacsAdapter
from broker.pacs.catalogue_sync import CatalogueSync
from broker.pacs.opening import open_pacs
from broker.pages.app import make_app
from broker.publish import Publisher
from broker.renewal import keep_renewed
from broker.setup import BrokerSecrets, load_keys
from broker.study_keys import StudyKeys
from p2pacs.catalogue.catalogue_index import CatalogueIndex
from p2pacs.catalogue.records import StudyRecord
from p2pacs.errors import LocalError, P2PacsError
from p2pacs.identity.book import FILE, DirectoryBook
from p2pacs.ids import StudyId
from p2pacs.limits import MIB
from p2pacs.locks import held
from p2pacs.pages.certificate import WebCertificate, host_names, make_certificate
from p2pacs.publish.coder import coder
from p2pacs.retention.recycler import Recycler, RecyclerTuning
from p2pacs.sqlite import until_possible
from p2pacs.store import ChunkStore, open_store
from p2pacs.swarm.download.transfer import TransferState
from p2pacs.swarm.node import Line, Node, Services
from p2pacs.units import Endpoint
from p2pacs.web.connections import web_admission
from p2pacs.web.serving import serve_web
from p2pacs.workers.coding import Workers, open_workers

log = structlog.get_logger(__name__)

RECYCLING: Final = RecyclerTuning(least=512 * MIB, served_seconds=15.0)
"""Asking for proofs again for every version of a study would be slow; and what the broker serves
others have, too, soon after it was published: it need not stay for long."""

RECOVERY: Final = 600.0
"""Seconds to fetch a published study that the store lost back from other members."""


NEWEST: Final = 256
"""Studies that came out last, of which a start looks whether the catalogue has heard."""


class Broker:
    """The parts of the broker."""

    def __init__(
        self,
        settings: BrokerSettings,
        keys: BrokerSecrets,
        *,
        database: BrokerDatabase,
        store: ChunkStore,
        catalogue: CatalogueIndex,
        pacs: PacsAdapter,
        workers: Workers,
        certificate: WebCertificate | None,
    ) -> None:
        """Build the parts; nothing runs before `run`."""
        identity = keys.identity
        self.settings = settings
        self.keys = keys
        self.book = DirectoryBook(identity.folder / FILE, identity.broker_key)
        me = broker_record(identity, settings.name, settings.endpoints)
        self.keeper = DirectoryKeeper(database, self.book, keys.signing, me)
        enrolment = Enrolment(
            database,
            authority=keys.authority,
            key=keys.signing,
            book=self.book,
            keeper=self.keeper,
            settings=settings.enrolment,
        )
        studies = StudyKeys(database, keys.study_secret, identity.box_key)
        self.parts = Parts(
            address=identity.address,
            database=database,
            book=self.book,
            broker_keys=self.book.keys,
            catalogue=catalogue,
            store=store,
            studies=studies,
            enrolment=enrolment,
            pacs=pacs,
        )
        services = Services()
        self.node = Node(
            identity,
            self.book,
            store,
            Line.of(settings.line),
            services,
            settings.listen,
            enrolment.enrol,
        )
        host = self.node.host
        self.engine = host.engine
        self.news = MemberNews(host, self.book)
        self.recycler = Recycler(
            identity,
            self.book,
            host,
            store,
            busy=self._busy,
            drop=self._drop,
            tuning=RECYCLING,
        )
        self.publisher = Publisher(
            pacs,
            store,
            studies,
            keys.signing,
            coder(workers, settings.coding),
            updated=self.engine.updated,
            completed=self._completed,
            incomplete=partial(record_missing, database),
            gone=self._gone,
            recover=self._recover,
            make_room=partial(self.recycler.make_room, 1),
        )
        self.catalogue_sync = CatalogueSync(
            pacs,
            catalogue,
            studies.id_of,
            changed=self.news.catalogue_grown,
            restage=self._restage,
            today=lambda: datetime.now().astimezone().date(),
            every=settings.sweep.every_seconds,
            looked=self._looked,
        )
        self.handlers = BrokerServices(self.parts, host, self.publisher, self.recycler, self.news)
        self.handlers.enter(services)
        self._certificate = certificate
        self._database = database

    async def run(self, stop: trio.Event, *, task_status: trio.TaskStatus[dict[str, Any]]) -> None:
        """Serve until told to stop; reports where. Pages that are under way are served first."""
        self.book.subscribe(self.news.directory_changed)
        await until_possible(self.keeper.refresh, DATABASE)
        await self._database.persist(lambda c: note_start(c, self.keys.identity.address))
        async with trio.open_nursery() as nursery:
            await nursery.start(self.handlers.run)
            listens: list[Endpoint] = await nursery.start(self.node.run)
            await nursery.start(self.publisher.run)
            await nursery.start(self.catalogue_sync.run)
            nursery.start_soon(self._catch_up)
            nursery.start_soon(self.keeper.watch)
            nursery.start_soon(self.recycler.run)
            nursery.start_soon(keep_renewed, self.keys)
            if self._certificate is not None:
                nursery.start_soon(self._certificate.keep_renewed)
            async with trio.open_nursery() as pages:
                web: Endpoint = await pages.start(self._serve_pages, stop)
                task_status.started(self._ready(listens, web))
            log.info("stopping")
            nursery.cancel_scope.cancel()

    def _ready(self, listens: list[Endpoint], web: Endpoint) -> dict[str, Any]:
        scheme = "https" if self._certificate else "http"
        return {
            "event": "ready",
            "name": self.settings.name,
            "address": str(self.keys.identity.address),
            "listen": [str(endpoint) for endpoint in listens],
            "web": f"{scheme}://{web}",
        }

    async def _serve_pages(
        self, stop: trio.Event, *, task_status: trio.TaskStatus[Endpoint]
    ) -> None:
        actions = AdminActions(self.keys.authority, self.keys.identity.address, self.settings)
        admission = web_admission(self.settings.web.proxies)
        app = make_app(self._database, actions, self.settings.web, came=admission.member_came)
        tls = self._certificate.context if self._certificate else None
        endpoint = self.settings.web.listen
        await serve_web(
            app, endpoint, stop=stop, tls=tls, admission=admission, task_status=task_status
        )

    def _busy(self, study: StudyId) -> bool:
        """Whether a study is being published, or fetched back: it stays in the store."""
        progress = self.publisher.publications.get(study)
        transfer = self.engine.downloads.transfers.get(study)
        fetching = transfer is not None and transfer.state is TransferState.FETCHING
        return fetching or (progress is not None and not progress.over)

    async def _drop(self, study: StudyId) -> None:
        self.engine.dropped(study)
        await self.parts.store.drop(study)

    async def _completed(self, record: StudyRecord) -> None:
        await self.catalogue_sync.update(record)

    async def _looked(self, error: P2PacsError | None, studies: int | None) -> None:
        """Note how the PACS is, for the pages and ``broker status``."""
        me = self.keys.identity.address
        try:
            await self._database.run(lambda c: note_look(c, me, error, studies))
        except LocalError as failure:  # the next look notes it
            log.warning("the state of the PACS is not noted", error=str(failure))

    async def _catch_up(self) -> None:
        """A version and its record in the catalogue are written one after the other: what came out
        just before the program was killed is compared again, so that members hear of it."""
        for one in await self.parts.studies.newest(NEWEST):
            record = await trio.to_thread.run_sync(self.parts.catalogue.get, one.study)
            if record is not None and record.version < one.version:
                log.info("the catalogue has not heard of a version", study=one.study.short)
                self.publisher.stage(one.uid)

    async def _gone(self, uid: str) -> None:
        await self.catalogue_sync.confirm_gone(uid)

    def _restage(self, uid: str, everything: bool) -> None:
        self.publisher.stage(uid, everything=everything)

    async def _recover(self, study: StudyId) -> bool:
        """Fetch back from other members what the store lost of a published study."""
        holders = self.parts.holders.of(study)
        if not holders:
            return False
        log.warning("a published study is fetched back", study=study.short, holders=len(holders))
        transfer = self.engine.downloads.fetch(study, holders=holders)
        try:
            with trio.fail_after(RECOVERY):
                await transfer.wait_complete()
        except (P2PacsError, trio.TooSlowError):
            transfer.cancel()
            return False
        return True


def _open_catalogue(before: Path, database: BrokerDatabase) -> CatalogueIndex:
    """The catalogue in the database; with what the version before had in a file."""
    take_over(before, database)
    return CatalogueIndex(database)


@asynccontextmanager
async def open_broker(folder: Path, settings: BrokerSettings) -> AsyncIterator[Broker]:
    """A broker with its files open, not yet running.

    Raises:
        StateError: another process runs it, or files are missing.
    """
    keys = load_keys(folder)
    async with AsyncExitStack() as stack:
        already = f"a broker runs in {folder} already: stop it first"
        await stack.enter_async_context(held(folder / LOCK, already))
        certificate = None
        if settings.web.secure:
            hosts = partial(host_names, settings.web.listen, settings.web.hosts)
            make = partial(WebCertificate.make, folder / WEB, keys.authority, hosts)
            certificate = await make_certificate(make)
        database = await stack.enter_async_context(open_database(folder / DATABASE))
        opened = open_store(folder / STORE, capacity=settings.store.capacity)
        store = await stack.enter_async_context(opened)
        open_catalogue = partial(
            trio.to_thread.run_sync, _open_catalogue, folder / CATALOGUE, database
        )
        catalogue = await until_possible(open_catalogue, DATABASE)
        pacs = await stack.enter_async_context(
            open_pacs(settings.central_pacs, aet=settings.aet, dicom=settings.dicom)
        )
        workers = await stack.enter_async_context(open_workers())
        yield Broker(
            settings,
            keys,
            database=database,
            store=store,
            catalogue=catalogue,
            pacs=pacs,
            workers=workers,
            certificate=certificate,
        )


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
