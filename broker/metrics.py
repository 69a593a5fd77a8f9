"""What the broker tells Prometheus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import trio
from attrs import frozen

from broker.config import IDENTITY, STORE, WEB, BrokerSettings
from broker.database.db import BrokerDatabase
from broker.database.pacs_state import PacsIs, PacsState, read_pacs
from broker.publish import Publisher
from p2pacs.errors import LocalError
from p2pacs.identity import dicom_tls
from p2pacs.identity.node import CERTIFICATE
from p2pacs.metrics.definitions import metrics_of
from p2pacs.metrics.node_readings import NodeMetrics, read_files
from p2pacs.metrics.readings import MetricReading, Scrape, by_label
from p2pacs.pages.certificate import CERTIFICATE as WEB_CERTIFICATE
from p2pacs.process.health import Health, HealthCheck

METRICS: Final = metrics_of("broker")

STATES: Final = tuple(Health)
"""From well to bad."""


@frozen
class BrokerMetrics:
    """Where it is read."""

    folder: Path
    settings: BrokerSettings
    node: NodeMetrics
    database: BrokerDatabase
    publisher: Publisher
    health: Callable[[], Awaitable[Sequence[HealthCheck]]]
    """The checks of the page."""

    async def gather(self) -> Scrape:
        """Everything, as it is now; what the database cannot say just now is left out."""
        files = read_files(self.folder / STORE, self._certificates())
        on_disk = partial(list[MetricReading], files)
        readings = [
            *self.node.read(),
            *self._members(),
            *self._publications(),
            *await trio.to_thread.run_sync(on_disk),
        ]
        try:
            me = self.node.host.address
            state = await self.database.run(lambda connection: read_pacs(connection, me))
            readings += _pacs(state)
            for check in await self.health():
                readings.append(MetricReading("health", STATES.index(check.state), (check.key,)))
        except LocalError:
            pass
        return Scrape(tuple(readings), {})

    def _members(self) -> Iterator[MetricReading]:
        records = [one for one in self.node.book.directory.members if not one.revoked]
        yield from by_label("members", Counter(str(one.role) for one in records))
        linked, sent = self.node.host.mesh.links, self.node.host.engine.uploads.bytes_sent
        for one in records:
            if one.address != self.node.host.address:
                is_linked = one.address in linked
                yield MetricReading("member_linked", is_linked, (one.name, str(one.role)))
                yield MetricReading("member_sent_bytes", sent.get(one.address, 0), (one.name,))

    def _publications(self) -> Iterator[MetricReading]:
        running = [one for one in self.publisher.publications.values() if not one.over]
        yield from by_label("publications", Counter(one.stage.value for one in running))
        wanted = sum(one.instances_wanted for one in running)
        yield MetricReading("publication_instances_wanted", wanted)
        done = sum(one.instances_done for one in running)
        yield MetricReading("publication_instances_done", done)
        yield from by_label("publications_ended", self.publisher.ended)

    def _certificates(self) -> dict[str, Path]:
        made = f"{dicom_tls.FOLDER}/{dicom_tls.CERTIFICATE}"
        return {
            "member": self.folder / IDENTITY / CERTIFICATE,
            "web": self.folder / (self.settings.web.certificate or f"{WEB}/{WEB_CERTIFICATE}"),
            "dicom": self.folder / (self.settings.dicom_tls.certificate or made),
        }


def _pacs(state: PacsState) -> Iterator[MetricReading]:
    yield MetricReading("pacs_up", state.state is PacsIs.ANSWERS)
    if state.looked is not None:
        yield MetricReading("pacs_looked_timestamp_seconds", state.looked / 1000)
    if state.studies is not None:
        yield MetricReading("catalogue_studies", state.studies)
