"""Deadlines and bounds of DIMSE in one place, so that tests can hand in others."""

from __future__ import annotations

from attrs import frozen

from p2pacs import limits


@frozen
class DimseTuning:
    """What a server and its sub-operations go by; seconds, unless it says otherwise."""

    negotiate: float = 10.0
    """From the connection to the whole A-ASSOCIATE-RQ (or its answer), however it comes."""

    pdu: float = 30.0
    """For a whole PDU, sent or received: a byte now and then is no progress ..."""

    slowest: int = limits.DICOM_SLOWEST
    """... and a second more for so many bytes of it."""

    connect: float = 10.0
    """To connect to another application entity."""

    pdu_bytes: int = limits.DICOM_PDU_BYTES
    message_bytes: int = limits.DICOM_MESSAGE_BYTES
    answers: int = limits.DICOM_ANSWERS
    """That another's C-FIND may give us."""

    found: int = limits.FIND_RESULTS
    """That our C-FIND gives."""

    idle: float = 300.0
    """After which an association that nobody uses is aborted."""

    farewell: float = 1.0
    """For an association to end in order, before its connection is cut."""

    associations: int = limits.DICOM_ASSOCIATIONS
    kept_associations: int = limits.DICOM_KEPT_ASSOCIATIONS
    connections: int = limits.DICOM_CONNECTIONS
    kept_connections: int = limits.DICOM_KEPT_CONNECTIONS
    connections_per_address: int = limits.DICOM_CONNECTIONS_PER_ADDRESS
    leaving_connections: int = limits.DICOM_LEAVING_CONNECTIONS

    unused: float = 10.0
    """After which a stranger's association gives way to another one where there is no room."""

    resolve: float = 60.0
    """How often the names of known hosts are looked up."""

    report: float = 0.05
    """Pending responses are not sent more often: 20 a second are enough to show progress."""

    keep_alive: float = 5.0
    """A pending response at least this often, so that a slow line is no reason to give up."""

    lost_associations: int = 3
    """Failures to reach the destination, one after the other, that end a C-MOVE."""

    busy: tuple[float, ...] = (0.5, 1.0, 2.0)
    """Pauses before a destination that rejects associations for the moment is asked again: one
    that is full for longer is not worth the wait of who asked."""


TUNING = DimseTuning()
"""As measured, and as docs/dicom.md says."""
