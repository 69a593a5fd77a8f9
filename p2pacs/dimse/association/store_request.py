"""C-STORE requests around the bytes of an instance.

pynetdicom decodes and encodes again every data set that it sends, so what a workstation got would
not be what the PACS sent.
"""

from __future__ import annotations

from io import BytesIO

from pydicom.uid import UID
from pynetdicom.association import Association as _Association
from pynetdicom.dimse_primitives import C_STORE

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dimse.association.association import has_ended, remote_of
from p2pacs.errors import (
    PacsUnreachableError,
)


def accepted_pairs(assoc: _Association) -> set[tuple[str, str]]:
    """(SOP Class, transfer syntax) pairs that we may send on this association."""
    return {
        (str(context.abstract_syntax), str(context.transfer_syntax[0]))
        for context in assoc.accepted_contexts
        if context.as_scu
    }


def send_instance(
    assoc: _Association,
    instance: EncodedInstance,
    message_id: int,
    originator: tuple[str, int] | None = None,
) -> int | None:
    """Store one instance on the peer: its bytes, untouched, in their own transfer syntax.

    Args:
        assoc: one that `associate` opened, or in the thread of one that we accepted.
        instance: what to send.
        message_id: 1 to 65,535.
        originator: AE title and message id of the C-MOVE that this is part of.

    Returns:
        The C-STORE status of the peer; None if it did not accept this SOP Class in this
        transfer syntax, or if the instance cannot be sent at all.

    Raises:
        PacsUnreachableError: the association ended.
    """
    context_id = next(
        (
            context.context_id
            for context in assoc.accepted_contexts
            if context.as_scu
            and context.abstract_syntax == instance.sop_class_uid
            and context.transfer_syntax[0] == instance.transfer_syntax_uid
        ),
        None,
    )
    if context_id is None or not instance.data:
        return None
    request = C_STORE()
    try:
        request.MessageID = message_id
        request.AffectedSOPClassUID = UID(instance.sop_class_uid)
        request.AffectedSOPInstanceUID = UID(instance.sop_instance_uid)
    except ValueError:  # longer than 64 characters: no DIMSE message can carry it
        return None
    request.Priority = 0
    request.DataSet = BytesIO(instance.data)
    if originator is not None:
        request.MoveOriginatorApplicationEntityTitle = originator[0]
        request.MoveOriginatorMessageID = originator[1]
    if has_ended(assoc):
        raise PacsUnreachableError(f"{remote_of(assoc)} has ended the association")
    assoc.dimse.send_msg(request, context_id)
    _, answer = assoc.dimse.get_msg(block=True)
    if not isinstance(answer, C_STORE) or answer.Status is None:
        raise PacsUnreachableError(f"{remote_of(assoc)} ended the association while receiving")
    return answer.Status
