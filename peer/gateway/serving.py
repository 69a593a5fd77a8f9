"""The interfaces that a hospital's workstations see, running: the DICOM server and DICOMweb."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cached_property

import structlog
import trio
from attrs import field, frozen
from starlette.types import ASGIApp

from p2pacs.catalogue.catalogue_index import CatalogueIndex
from p2pacs.dataset.search_options import SearchOptions
from p2pacs.dicomweb.server.store_backend import StoreBackend
from p2pacs.dimse.association.remote import DimseRemote, MakeContext
from p2pacs.dimse.backend import Backend
from p2pacs.dimse.delivery.conversion import Conversion, Converting
from p2pacs.dimse.server.commitment import CommitmentService
from p2pacs.dimse.server.scp import DimseServer
from p2pacs.identity.dicom_tls import DicomTls
from p2pacs.swarm.host import Host
from p2pacs.units import Endpoint
from p2pacs.workers.coding import Workers
from peer.config import GatewaySettings, PeerSettings
from peer.gateway.dimse.bridge import Bridge
from peer.gateway.dimse.gateway import Gateway, Take
from peer.gateway.measured import GatewayDurations, MeasuredBackend, MeasuredDicomweb
from peer.gateway.studies.announced import CatalogueWatch
from peer.gateway.studies.instances import InstanceDescriber
from peer.gateway.studies.listed import ListedInstances
from peer.gateway.web.clients import WebClients
from peer.gateway.web.dicomweb import DicomwebGateway
from peer.gateway.web.reads import WebReads
from peer.retrieval.reader import StudyReads

log = structlog.get_logger(__name__)


@frozen
class GatewayParts:
    """What the interfaces answer from."""

    host: Host
    """Asks the broker for what is not here."""
    catalogue: CatalogueIndex
    reads: StudyReads
    workers: Workers
    """Convert and draw images."""
    destinations: dict[str, DimseRemote]
    """Where a C-MOVE to an AE title goes."""
    news: CatalogueWatch
    """Tells when the catalogue has changed."""
    tls: DicomTls
    """Certificates of the DICOM server that is encrypted."""
    check_membership: Callable[[], None]
    """Raises a RevokedError where this member was revoked; in any thread."""
    take: Take | None = None
    """Keeps what is stored here; None: nothing may be stored. In DICOM threads."""
    store: StoreBackend | None = None
    """The same of what is stored by DICOMweb."""
    commitment: CommitmentService | None = None
    """Takes requests for Storage Commitment; None: nothing may be stored."""
    durations: GatewayDurations = field(factory=GatewayDurations)
    """How long those who ask waited."""
    listed: ListedInstances = field(factory=ListedInstances)
    """In which study an instance is, by any of these ways."""

    @cached_property
    def dicomweb(self) -> DicomwebGateway:
        """Behind everything that speaks DICOMweb here: one bound on memory, one memory of who
        reads what."""
        return DicomwebGateway(
            self.catalogue,
            InstanceDescriber(self.host, self.reads, self.listed),
            self.listed,
            WebReads(self.reads, self.workers),
            news=self.news,
            check_membership=self.check_membership,
        )

    def gateway(self, bridge: Bridge) -> Backend:
        """What answers DICOM threads."""
        describe = InstanceDescriber(self.host, self.reads, self.listed)
        gateway = Gateway(
            bridge,
            self.catalogue,
            self.reads,
            describe,
            self.listed,
            news=self.news,
            check_membership=self.check_membership,
            take=self.take,
        )
        return MeasuredBackend(gateway, self.durations.dimse)

    def measured(self, app: ASGIApp) -> ASGIApp:
        """DICOMweb services whose requests are counted."""
        return MeasuredDicomweb(app, self.durations.dicomweb)

    def conversion(self, bridge: Bridge, settings: GatewaySettings) -> Conversion:
        """For whom instances are converted; in DICOM threads, by the workers."""
        return Conversion(
            lambda instance, target: bridge.call(self.workers.transcode, instance, target),
            settings.converting,
            clients=Converting(settings.transcode),
        )


@frozen
class DimseEndpoints:
    """Where the DICOM servers listen; None: there is none."""

    plain: Endpoint | None = None
    tls: Endpoint | None = None


@asynccontextmanager
async def open_dimse(
    parts: GatewayParts, settings: PeerSettings, *, blind: bool
) -> AsyncIterator[DimseEndpoints]:
    """The DICOM servers that are set; none for a blind replica, which reads nothing.

    Raises:
        StateError: an endpoint cannot be listened on, or the certificate cannot be used.
    """
    plain, secure = settings.dicom, settings.gateway.tls
    is_set = plain is not None or secure is not None
    if blind or not is_set:
        if is_set:
            log.info("no gateway: a replica holds no keys to read with")
        elif not blind:
            log.warning("no gateway for workstations: set dicom in peer.toml")
        yield DimseEndpoints()
        return
    async with AsyncExitStack() as stack:
        listens: list[Endpoint | None] = []
        for where, tls in ((plain, None), (secure, parts.tls.server)):
            opened = None
            if where is not None:
                server = _open_server(parts, settings, where, tls)
                opened = await stack.enter_async_context(server)
            listens.append(opened)
        yield DimseEndpoints(*listens)


@asynccontextmanager
async def _open_server(
    parts: GatewayParts, settings: PeerSettings, where: Endpoint, tls: MakeContext | None
) -> AsyncIterator[Endpoint]:
    async with trio.open_nursery() as nursery:
        bridge = Bridge(nursery)
        server = DimseServer(
            settings.aet,
            where,
            parts.gateway(bridge),
            parts.destinations,
            allowed_callers=settings.gateway.allowed_callers,
            stores=parts.take is not None,
            commitment=parts.commitment,
            tls=tls,
            options=SearchOptions(fuzzy=settings.gateway.fuzzy_names),
            conversion=parts.conversion(bridge, settings.gateway),
        )
        async with server:
            yield Endpoint(where.host, server.port)
            nursery.cancel_scope.cancel()


async def run_web(
    parts: GatewayParts,
    settings: PeerSettings,
    *,
    blind: bool,
    task_status: trio.TaskStatus[Endpoint | None],
) -> None:
    """The DICOMweb services, where they are set, until cancelled; reports where, or None.

    Raises:
        StateError: the endpoint cannot be listened on.
    """
    gateway = settings.gateway
    if gateway.dicomweb is None or blind:
        task_status.started(None)
        return
    from peer.gateway.web.serving import run_dicomweb  # noqa: PLC0415 - 2 MB where there is none

    async with trio.open_nursery() as nursery:
        nursery.start_soon(parts.workers.stay_ready)
        await run_dicomweb(
            parts.dicomweb,
            gateway.dicomweb,
            web_clients(gateway),
            gateway.dicomweb_names,
            store=parts.store,
            may_store=WebClients((), settings.sending.dicomweb_clients),
            proxies=settings.web.proxies,
            measured=parts.measured,
            task_status=task_status,
        )


def web_clients(gateway: GatewaySettings) -> WebClients:
    """Which addresses may read by DICOMweb, as the settings say."""
    hosts = (one.address.host for one in gateway.destinations.values())
    return WebClients(hosts, gateway.dicomweb_clients)
