"""Storage Commitment as SCP: requests are taken, and reported on over the same association as long
as it is there (PS3.4 J.3.2, J.3.3)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Final
from weakref import WeakValueDictionary

import structlog
from pynetdicom.dimse_primitives import N_ACTION
from pynetdicom.presentation import PresentationContext

from p2pacs.dimse.association.association import Association, Service, has_ended
from p2pacs.dimse.association.contexts import COMMITMENT, COMMITMENT_INSTANCE
from p2pacs.dimse.association.event_report import send_commitment_event
from p2pacs.dimse.commitment import (
    REQUEST,
    CommitmentReport,
    CommitmentRequest,
    read_request,
    write_report,
)
from p2pacs.dimse.delivery import suboperations as sub
from p2pacs.dimse.server.identifiers import decode_identifier
from p2pacs.errors import (
    AccessError,
    BusyError,
    DeadlineError,
    DiskFullError,
    P2PacsError,
    PacsError,
    UsageError,
)

log = structlog.get_logger(__name__)

_SUCCESS: Final = 0x0000
_FAILED: Final = 0x0110
_NO_SUCH_INSTANCE: Final = 0x0112
_INVALID: Final = 0x0115
_NO_SUCH_CLASS: Final = 0x0118
_NO_SUCH_ACTION: Final = 0x0123
_NOT_ALLOWED: Final = 0x0124
_RESOURCES: Final = 0x0213
"""Statuses of N-ACTION (PS3.7 10.1.4.1.10)."""

_QUIET_SECONDS: Final = 0.5
"""An association that was used since then is not reported over: who sends one instance after the
other expects their answers, and nothing between."""

_ANSWER_SECONDS: Final = 15.0
"""For an answer to a report over an association that stands."""

_TURN_SECONDS: Final = 5.0
"""For such an association to have a moment for it."""

_LOOK_SECONDS: Final = 0.05

TakeCommitment = Callable[[CommitmentRequest, str], None]
"""Keeps a request of a caller (AE title), so that a restart does not lose it; in threads. Raises
`P2PacsError` where it does not."""


class CommitmentService:
    """N-ACTION of one or more servers, and reports over their associations."""

    def __init__(self, take: TakeCommitment) -> None:
        """Nothing is taken before its `services` are entered in a server."""
        self._take = take
        self._lock = threading.Lock()
        self._asked: WeakValueDictionary[tuple[str, str], Association] = WeakValueDictionary()
        """Caller and Transaction UID → where the request came from."""

    def services(self) -> dict[type, Service]:
        """What to do with which request."""
        return {N_ACTION: self._action}

    def _action(self, assoc: Association, request: N_ACTION, context: PresentationContext) -> None:
        caller = str(assoc.requestor.ae_title).strip()
        status, comment = self._served(assoc, request, context, caller)
        if status != _SUCCESS:
            log.warning(
                "Storage Commitment refused", caller=caller, status=f"0x{status:04X}", why=comment
            )
        response: Any = N_ACTION()
        response.MessageIDBeingRespondedTo = request.MessageID
        response.AffectedSOPClassUID = request.RequestedSOPClassUID
        response.AffectedSOPInstanceUID = request.RequestedSOPInstanceUID
        response.ActionTypeID = request.ActionTypeID
        response.Status = status
        if comment:
            response.ErrorComment = comment
        if not has_ended(assoc):
            assoc.dimse.send_msg(response, context.context_id or 0)

    def _served(
        self, assoc: Association, request: N_ACTION, context: PresentationContext, caller: str
    ) -> tuple[int, str]:
        if request.RequestedSOPClassUID != COMMITMENT or context.abstract_syntax != COMMITMENT:
            return _NO_SUCH_CLASS, "not Storage Commitment"
        if request.RequestedSOPInstanceUID != COMMITMENT_INSTANCE:
            return _NO_SUCH_INSTANCE, "not the instance of Storage Commitment"
        if request.ActionTypeID != REQUEST:
            return _NO_SUCH_ACTION, "not a request for Storage Commitment"
        try:
            asked = read_request(
                decode_identifier(request.ActionInformation, context.transfer_syntax[0])
            )
            self._take(asked, caller)
        except P2PacsError as error:
            return _status_of(error), sub.comment_of(error)
        with self._lock:
            self._asked[caller, asked.transaction] = assoc
        return _SUCCESS, ""

    def report(self, caller: str, report: CommitmentReport) -> bool:
        """Report over the association that the request came over; whether that was answered.

        Blocks, for 20 seconds at most. False as well while the association is
        used for something else.
        """
        key = (caller, report.transaction)
        with self._lock:
            assoc = self._asked.get(key)
        if assoc is None or has_ended(assoc) or assoc.unused() < _QUIET_SECONDS:
            return False
        errand = _Errand(assoc, report)
        assoc.between_requests(errand.run)
        if not errand.wait():
            return False
        with self._lock:
            self._asked.pop(key, None)
        return True


class _Errand:
    """A report that the thread of an association sends."""

    def __init__(self, assoc: Association, report: CommitmentReport) -> None:
        self._assoc = assoc
        self._report = report
        self._begun = threading.Lock()
        self._over = threading.Event()
        self._taken = False

    def run(self) -> None:
        """Send it, unless nobody waits for that any more; in the thread of the association."""
        if not self._begun.acquire(blocking=False):
            return
        report = self._report
        try:
            send_commitment_event(
                self._assoc,
                report.event,
                write_report(report),
                message_id=1,
                patience=_ANSWER_SECONDS,
            )
            self._taken = True
        except (PacsError, DeadlineError) as error:
            log.info("not reported over the association of the request", why=str(error))
        finally:
            self._over.set()

    def wait(self) -> bool:
        """Whether it was taken; if it was not begun by the end of the association, or in time, it
        never is."""
        deadline = time.monotonic() + _TURN_SECONDS
        while not self._over.wait(_LOOK_SECONDS):
            is_late = has_ended(self._assoc) or time.monotonic() > deadline
            if is_late and self._begun.acquire(blocking=False):
                return False
        return self._taken


def _status_of(error: P2PacsError) -> int:
    if isinstance(error, BusyError | DiskFullError):
        return _RESOURCES
    if isinstance(error, AccessError):
        return _NOT_ALLOWED
    return _INVALID if isinstance(error, UsageError) else _FAILED
