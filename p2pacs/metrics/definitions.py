"""Every metric that there is: its name, kind and meaning. docs/monitoring.md has the same table.

Names follow Prometheus: base units, ``_total`` for what only grows. No label names a patient, a
study or an address; members are named by the broker alone.
"""

from __future__ import annotations

from typing import Final, Literal

from attrs import frozen

MetricKind = Literal["counter", "gauge", "histogram"]
MetricSide = Literal["both", "broker", "peer"]


@frozen
class MetricDefinition:
    """One metric."""

    name: str
    """As it is queried; of a histogram without ``_bucket``, ``_sum`` and ``_count``."""
    kind: MetricKind
    side: MetricSide
    """Which program tells it."""
    text: str
    labels: tuple[str, ...] = ()


def _counter(name: str, side: MetricSide, text: str, *labels: str) -> MetricDefinition:
    return MetricDefinition(f"p2pacs_{name}_total", "counter", side, text, labels)


def _gauge(name: str, side: MetricSide, text: str, *labels: str) -> MetricDefinition:
    return MetricDefinition(f"p2pacs_{name}", "gauge", side, text, labels)


def _seconds(name: str, side: MetricSide, text: str, *labels: str) -> MetricDefinition:
    return MetricDefinition(f"p2pacs_{name}_seconds", "histogram", side, text, labels)


METRICS: Final = (
    _gauge("info", "both", "1; the labels say what runs.", "program", "role", "version"),
    _counter("sent_bytes", "both", "Bytes of chunks sent, by the receiver's role.", "role"),
    _counter("received_bytes", "both", "Bytes of verified chunks, by the sender's role.", "role"),
    _counter("received_chunks", "both", "Verified chunks received, by the sender's role.", "role"),
    _gauge("links", "both", "Open links, by the other member's role.", "role"),
    _counter("dials", "both", "Members dialled, by outcome: linked or failed.", "outcome"),
    _gauge("upload_waiting_bytes", "both", "Bytes promised to members that still wait to be sent."),
    _gauge("transfers", "both", "Studies that are being fetched."),
    _counter("transfers_ended", "both", "Fetches that ended: complete or failed.", "outcome"),
    _gauge("store_bytes", "both", "Bytes of chunks in the store."),
    _gauge("store_capacity_bytes", "both", "What the store may use; none where it is not set."),
    _gauge("store_disk_free_bytes", "both", "Free on the store's disk."),
    _gauge("store_studies", "both", "Studies of which chunks are in the store."),
    _counter("recycled_studies", "both", "Studies dropped to make room."),
    _gauge("catalogue_studies", "both", "Studies in the catalogue."),
    _gauge("worker_processes", "both", "Processes that code and decode images now."),
    _gauge("worker_calls_waiting", "both", "Images that wait for a worker process."),
    _counter("worker_deaths", "both", "Worker processes that ended in the middle of their work."),
    _gauge(
        "certificate_expires_timestamp_seconds",
        "both",
        "When a certificate ends, in seconds since 1970: member, web or dicom.",
        "certificate",
    ),
    _seconds("loop_lag", "both", "How late the event loop was, looked at twice a second."),
    _gauge("broker_linked", "peer", "1 while a broker is linked."),
    _gauge("catalogue_lag_seconds", "peer", "Since the catalogue was as new as the broker's."),
    _gauge("audit_waiting", "peer", "Audit records that the broker has not confirmed."),
    _gauge("outgoing_studies", "peer", "Studies that are sent from here, by state.", "state"),
    _gauge("outgoing_spool_bytes", "peer", "Data sets in the spool: not delivered, or kept."),
    _gauge(
        "outgoing_oldest_seconds", "peer", "Since the oldest study began that is not in the PACS."
    ),
    _seconds(
        "dimse_operation",
        "peer",
        "C-FIND, C-MOVE, C-GET of workstations, and each C-STORE to them.",
        "operation",
        "outcome",
    ),
    _seconds(
        "dicomweb_request",
        "peer",
        "DICOMweb requests to the end of their answer, by resource and status class.",
        "resource",
        "status",
    ),
    _gauge("members", "broker", "Members that are registered and not revoked, by role.", "role"),
    _gauge("member_linked", "broker", "1 while a member is linked.", "member", "role"),
    _counter("member_sent_bytes", "broker", "Bytes of chunks sent to a member.", "member"),
    _gauge("pacs_up", "broker", "1 if the last look into the PACS succeeded."),
    _gauge(
        "pacs_looked_timestamp_seconds",
        "broker",
        "When a look into the PACS last succeeded, in seconds since 1970.",
    ),
    _gauge(
        "health",
        "broker",
        "The checks of the page Health: 0 good, 1 worth a look, 2 bad.",
        "check",
    ),
    _gauge("publications", "broker", "Studies that are being published, by stage.", "stage"),
    _gauge("publication_instances_wanted", "broker", "Instances of these studies."),
    _gauge("publication_instances_done", "broker", "Of them, published already."),
    _counter("publications_ended", "broker", "Publications that ended, by outcome.", "outcome"),
    MetricDefinition(
        "process_resident_memory_bytes", "gauge", "both", "Memory of the program itself."
    ),
    MetricDefinition("process_virtual_memory_bytes", "gauge", "both", "Its address space."),
    MetricDefinition("process_cpu_seconds_total", "counter", "both", "Processor time it used."),
    MetricDefinition("process_open_fds", "gauge", "both", "Open file descriptors."),
    MetricDefinition("process_max_fds", "gauge", "both", "How many may be open."),
    MetricDefinition("process_start_time_seconds", "gauge", "both", "Its start, since 1970."),
)
"""What starts with ``process_`` comes from prometheus-client, under the names that all programs
have; on Linux alone."""


def metrics_of(side: Literal["broker", "peer"]) -> tuple[MetricDefinition, ...]:
    """What one program tells."""
    return tuple(one for one in METRICS if one.side in ("both", side))
