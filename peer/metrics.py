"""What a peer tells Prometheus."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import trio
from attrs import frozen

from p2pacs.catalogue.catalogue_index import CatalogueIndex
from p2pacs.errors import LocalError
from p2pacs.identity import dicom_tls
from p2pacs.identity.node import CERTIFICATE
from p2pacs.metrics.definitions import metrics_of
from p2pacs.metrics.node_readings import NodeMetrics, read_files
from p2pacs.metrics.readings import MetricReading, Scrape
from p2pacs.pages.certificate import CERTIFICATE as WEB_CERTIFICATE
from peer.config import IDENTITY, STORE, WEB, PeerSettings
from peer.gateway.measured import GatewayDurations
from peer.ingest.outgoing_desk import OutgoingDesk
from peer.ingest.outgoing_state import OutgoingState, OutgoingStudy
from peer.retrieval.audit import AuditQueue

METRICS: Final = metrics_of("peer")


@frozen
class PeerMetrics:
    """Where it is read."""

    folder: Path
    settings: PeerSettings
    node: NodeMetrics
    catalogue: CatalogueIndex
    catalogue_age: Callable[[], float | None]
    audit: AuditQueue
    durations: GatewayDurations
    sent: OutgoingDesk | None = None
    """Studies that are sent from here; None: none can be."""

    async def gather(self) -> Scrape:
        """Everything, as it is now; what the database cannot say just now is left out."""
        files = read_files(self.folder / STORE, self._certificates())
        on_disk = partial(list[MetricReading], files)
        readings = [
            *self.node.read(),
            *self._here(),
            *await trio.to_thread.run_sync(on_disk),
        ]
        try:
            count = await trio.to_thread.run_sync(len, self.catalogue)
            readings.append(MetricReading("catalogue_studies", count))
            readings.append(MetricReading("audit_waiting", await self.audit.waiting()))
            if self.sent is not None:
                readings += sent_readings(await self.sent.list_studies(), time.time())
        except LocalError:
            pass
        durations = {
            "dimse_operation": self.durations.dimse,
            "dicomweb_request": self.durations.dicomweb,
        }
        return Scrape(tuple(readings), durations)

    def _here(self) -> Iterator[MetricReading]:
        yield MetricReading("broker_linked", self.node.host.mesh.broker_linked)
        if (age := self.catalogue_age()) is not None:
            yield MetricReading("catalogue_lag_seconds", age)

    def _certificates(self) -> dict[str, Path]:
        made = f"{dicom_tls.FOLDER}/{dicom_tls.CERTIFICATE}"
        return {
            "member": self.folder / IDENTITY / CERTIFICATE,
            "web": self.folder / (self.settings.web.certificate or f"{WEB}/{WEB_CERTIFICATE}"),
            "dicom": self.folder / (self.settings.dicom_tls.certificate or made),
        }


def sent_readings(studies: Sequence[OutgoingStudy], now: float) -> Iterator[MetricReading]:
    """What is told of studies that are sent.

    Args:
        studies: all.
        now: seconds since 1970.
    """
    counts = Counter(one.state for one in studies)
    for state in OutgoingState:
        yield MetricReading("outgoing_studies", counts[state], (str(state),))
    yield MetricReading("outgoing_spool_bytes", sum(one.spooled for one in studies))
    oldest = min((one.began / 1000 for one in studies if one.can_cancel), default=now)
    yield MetricReading("outgoing_oldest_seconds", max(0.0, now - oldest))
