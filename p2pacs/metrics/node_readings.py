"""What both programs tell: links, traffic, store, workers, certificates."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from importlib import metadata
from pathlib import Path

from attrs import frozen

from p2pacs.errors import P2PacsError
from p2pacs.identity.book import DirectoryBook
from p2pacs.identity.certificates import from_pem, load_certificate
from p2pacs.ids import VirtualAddress
from p2pacs.metrics.readings import MetricReading, by_label
from p2pacs.retention.recycler import Recycler
from p2pacs.store import ChunkStore
from p2pacs.swarm.download.transfer import TransferState
from p2pacs.swarm.host import Host
from p2pacs.workers.coding import Workers


@frozen
class NodeMetrics:
    """Where it is read."""

    program: str
    """``broker`` or ``peer``."""
    role: Callable[[], str]
    host: Host
    book: DirectoryBook
    store: ChunkStore
    recycler: Recycler
    workers: Workers

    def read(self) -> Iterator[MetricReading]:
        """All of it, on the event loop: nothing here reads a disk."""
        labels = (self.program, self.role(), metadata.version("p2pacs"))
        yield MetricReading("info", 1, labels)
        yield from self._traffic()
        yield from self._store()
        yield MetricReading("recycled_studies", self.recycler.recycled)
        yield MetricReading("worker_processes", len(self.workers.processes))
        yield MetricReading("worker_calls_waiting", self.workers.waiting)
        yield MetricReading("worker_deaths", self.workers.deaths)

    def _traffic(self) -> Iterator[MetricReading]:
        mesh, engine = self.host.mesh, self.host.engine
        uploads, downloads = engine.uploads, engine.downloads
        received = downloads.received.items()
        yield from by_label("sent_bytes", self._by_role(uploads.bytes_sent.items()))
        yield from by_label("received_bytes", self._by_role((a, b.bytes) for a, b in received))
        yield from by_label("received_chunks", self._by_role((a, b.chunks) for a, b in received))
        yield from by_label("links", self._by_role((member, 1) for member in mesh.links))
        yield from by_label("dials", mesh.dials)
        waiting = sum(
            sender.promised(member) for sender in uploads.senders for member in mesh.links
        )
        yield MetricReading("upload_waiting_bytes", waiting)
        states = Counter(one.state for one in downloads.transfers.values())
        yield MetricReading("transfers", states[TransferState.FETCHING])
        yield from by_label("transfers_ended", downloads.ended)

    def _store(self) -> Iterator[MetricReading]:
        yield MetricReading("store_bytes", self.store.used)
        if self.store.capacity is not None:
            yield MetricReading("store_capacity_bytes", self.store.capacity)
        yield MetricReading("store_studies", len(self.store.studies()))

    def _by_role(self, values: Iterable[tuple[VirtualAddress, float]]) -> dict[str, float]:
        """Sums by the role of members; ``unknown`` of who left the directory."""
        sums = Counter[str]()
        for member, value in values:
            record = self.book.directory.get(member)
            sums[str(record.role) if record else "unknown"] += value  # type: ignore[assignment]
        return dict(sums)


def read_files(store: Path, certificates: Mapping[str, Path]) -> Iterator[MetricReading]:
    """What has to be read from a disk; in a thread.

    Args:
        store: folder of the store.
        certificates: PEM files by what they are for; one that is missing is not told.
    """
    with suppress(OSError):
        yield MetricReading("store_disk_free_bytes", shutil.disk_usage(store).free)
    for what, path in certificates.items():
        with suppress(OSError, P2PacsError):
            ends = load_certificate(from_pem(path.read_bytes(), what)).not_valid_after_utc
            yield MetricReading("certificate_expires_timestamp_seconds", ends.timestamp(), (what,))
