"""Reports of Storage Commitment that we wait for as SCU, over whatever association they come: that
of the request, or one of the PACS's own (PS3.4 J.3.3)."""

from __future__ import annotations

import threading
from typing import Any, Final

import structlog
from pynetdicom.dimse_primitives import N_EVENT_REPORT
from pynetdicom.presentation import PresentationContext

from p2pacs.dimse.association.association import Association, Service, has_ended, remote_of
from p2pacs.dimse.association.contexts import COMMITMENT, COMMITMENT_INSTANCE
from p2pacs.dimse.commitment import CommitmentReport, read_report
from p2pacs.dimse.server.identifiers import decode_identifier
from p2pacs.errors import BusyError, UsageError

log = structlog.get_logger(__name__)

_SUCCESS: Final = 0x0000
_NO_SUCH_INSTANCE: Final = 0x0112
_INVALID: Final = 0x0115
_NO_SUCH_CLASS: Final = 0x0118
_RESOURCES: Final = 0x0213
"""Statuses of N-EVENT-REPORT (PS3.7 10.1.1.1.8)."""

_AT_ONCE: Final = 4
"""Reports that are read: pynetdicom makes a thread of each that comes."""


class CommitmentReports:
    """What came, by Transaction UID; in any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._expected: dict[str, CommitmentReport | None] = {}
        self._reading = threading.Semaphore(_AT_ONCE)

    def services(self) -> dict[type, Service]:
        """What to do with which request."""
        return {N_EVENT_REPORT: self._event}

    def expect(self, transaction: str) -> None:
        """Take a report of this transaction from now on, and of no other that was not expected."""
        with self._changed:
            self._expected[transaction] = None

    def forget(self, transaction: str) -> None:
        """Expect it no more."""
        with self._changed:
            self._expected.pop(transaction, None)

    def wait(self, transaction: str, seconds: float) -> CommitmentReport | None:
        """The report, as soon as it is there; None if it is not in this time."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._expected.get(transaction) is not None, timeout=seconds
            )
            return self._expected.get(transaction)

    def _event(
        self, assoc: Association, request: N_EVENT_REPORT, context: PresentationContext
    ) -> None:
        status = _RESOURCES
        if self._reading.acquire(blocking=False):
            try:
                status = self._taken(assoc, request, context)
            finally:
                self._reading.release()
        response: Any = N_EVENT_REPORT()
        response.MessageIDBeingRespondedTo = request.MessageID
        response.AffectedSOPClassUID = request.AffectedSOPClassUID
        response.AffectedSOPInstanceUID = request.AffectedSOPInstanceUID
        response.EventTypeID = request.EventTypeID
        response.Status = status
        if not has_ended(assoc):
            assoc.dimse.send_msg(response, context.context_id or 0)

    def _taken(
        self, assoc: Association, request: N_EVENT_REPORT, context: PresentationContext
    ) -> int:
        if request.AffectedSOPClassUID != COMMITMENT or context.abstract_syntax != COMMITMENT:
            return _NO_SUCH_CLASS
        if request.AffectedSOPInstanceUID != COMMITMENT_INSTANCE:
            return _NO_SUCH_INSTANCE
        try:
            information = decode_identifier(request.EventInformation, context.transfer_syntax[0])
            report = read_report(request.EventTypeID or 0, information)
        except UsageError as error:
            log.warning("a report that cannot be read", remote=remote_of(assoc), why=str(error))
            return _INVALID
        except BusyError:
            return _RESOURCES
        with self._changed:
            if report.transaction not in self._expected:
                log.warning("a report that nobody waits for", remote=remote_of(assoc))
                return _INVALID
            self._expected[report.transaction] = report
            self._changed.notify_all()
        return _SUCCESS
