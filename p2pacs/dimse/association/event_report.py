"""N-EVENT-REPORT: notifications that a service class provider sends (PS3.7 10.1.1).

pynetdicom's own waits for an answer as long as the line may be silent; who asked may hang up
instead, and requests that come meanwhile would be taken for the answer.
"""

from __future__ import annotations

import queue
import time
from io import BytesIO
from typing import Any, Final

from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom.dimse_primitives import N_EVENT_REPORT
from pynetdicom.dsutils import encode

from p2pacs.dimse.association.association import Association, has_ended, remote_of
from p2pacs.dimse.association.contexts import COMMITMENT, COMMITMENT_INSTANCE
from p2pacs.errors import DeadlineError, PacsRefusedError, PacsUnreachableError

_LOOK_SECONDS: Final = 0.1
"""Between two looks whether the association has ended."""


def send_commitment_event(
    assoc: Association, event: int, information: Dataset, *, message_id: int, patience: float
) -> None:
    """Report the result of a request for Storage Commitment; blocks until it is answered.

    Args:
        assoc: one that was opened for it, or, in the thread that serves it, an accepted one.
        event: Event Type ID.
        information: Event Information.
        message_id: 1 to 65,535.
        patience: seconds for the answer.

    Raises:
        PacsRefusedError: its context is not accepted, or the receiver does not take it.
        PacsUnreachableError: the association ended.
        DeadlineError: no answer in time.
    """
    context = next(
        (one for one in assoc.accepted_contexts if one.abstract_syntax == COMMITMENT), None
    )
    if context is None or context.context_id is None:
        raise PacsRefusedError(f"{remote_of(assoc)} takes no reports of Storage Commitment")
    syntax = context.transfer_syntax[0]
    request = N_EVENT_REPORT()
    request.MessageID = message_id
    request.AffectedSOPClassUID = UID(COMMITMENT)
    request.AffectedSOPInstanceUID = UID(COMMITMENT_INSTANCE)
    request.EventTypeID = event
    encoded = encode(information, syntax.is_implicit_VR, syntax.is_little_endian)
    request.EventInformation = BytesIO(encoded or b"")
    if has_ended(assoc):
        raise PacsUnreachableError(f"{remote_of(assoc)} has ended the association")
    assoc.dimse.send_msg(request, context.context_id)
    status = _answer(assoc, message_id, patience)
    if status != 0:
        raise PacsRefusedError(f"{remote_of(assoc)} answers a report with status 0x{status:04X}")


def _answer(assoc: Association, message_id: int, patience: float) -> int:
    """The status of the answer; requests that come before it are served afterwards."""
    messages, others = assoc.dimse.msg_queue, list[Any]()
    deadline = time.monotonic() + patience
    try:
        while time.monotonic() < deadline:
            try:
                found = messages.get(timeout=_LOOK_SECONDS)
            except queue.Empty:
                if has_ended(assoc):
                    raise PacsUnreachableError(
                        f"{remote_of(assoc)} does not answer a report: does it know our AE title?"
                    ) from None
                continue
            message: Any = found[1]
            if isinstance(message, N_EVENT_REPORT):
                if message.MessageIDBeingRespondedTo == message_id and message.Status is not None:
                    return int(message.Status)
            else:
                others.append(found)
    finally:
        for other in others:
            messages.put(other)
    raise DeadlineError(f"{remote_of(assoc)} does not answer a report")
