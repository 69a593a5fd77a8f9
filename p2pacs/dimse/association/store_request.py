"""C-STORE requests around the bytes of an instance.

pynetdicom decodes and encodes again every data set that it sends, so what a workstation got would
not be what the PACS sent.
"""

from __future__ import annotations

from io import BytesIO
from typing import Final

from pydicom.uid import UID
from pynetdicom.association import Association as _Association
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.pdu_primitives import P_DATA

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dataset.large import LargeInstance
from p2pacs.dimse.association.association import has_ended, remote_of
from p2pacs.errors import P2PacsError, PacsUnreachableError
from p2pacs.limits import DICOM_PDU_BYTES

_FRAGMENT_HEAD: Final = 6
"""Bytes of a PDV besides its data: length, context and control header (PS3.8 9.3.5.1)."""

_LAST: Final = b"\x02"
_NOT_LAST: Final = b"\x00"
"""Message Control Headers of fragments of a data set (PS3.8 E.2)."""


def accepted_pairs(assoc: _Association) -> set[tuple[str, str]]:
    """(SOP Class, transfer syntax) pairs that we may send on this association."""
    return {
        (str(context.abstract_syntax), str(context.transfer_syntax[0]))
        for context in assoc.accepted_contexts
        if context.as_scu
    }


def send_instance(
    assoc: _Association,
    instance: EncodedInstance | LargeInstance,
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
        P2PacsError: a large one cannot be read: the association is aborted.
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
    if context_id is None or (isinstance(instance, EncodedInstance) and not instance.data):
        return None
    request = C_STORE()
    try:
        request.MessageID = message_id
        request.AffectedSOPClassUID = UID(instance.sop_class_uid)
        request.AffectedSOPInstanceUID = UID(instance.sop_instance_uid)
    except ValueError:  # longer than 64 characters: no DIMSE message can carry it
        return None
    request.Priority = 0
    if originator is not None:
        request.MoveOriginatorApplicationEntityTitle = originator[0]
        request.MoveOriginatorMessageID = originator[1]
    if has_ended(assoc):
        raise PacsUnreachableError(f"{remote_of(assoc)} has ended the association")
    if isinstance(instance, EncodedInstance):
        request.DataSet = BytesIO(instance.data)
        assoc.dimse.send_msg(request, context_id)
    else:
        _send_large(assoc, request, instance, context_id)
    _, answer = assoc.dimse.get_msg(block=True)
    if not isinstance(answer, C_STORE) or answer.Status is None:
        raise PacsUnreachableError(f"{remote_of(assoc)} ended the association while receiving")
    return answer.Status


def _send_large(
    assoc: _Association, request: C_STORE, instance: LargeInstance, context_id: int
) -> None:
    """The request, and its data set as fragments that are read one by one: pynetdicom would have
    all of it in memory, or open a file by its name."""
    request.DataSet = BytesIO(b"comes")
    message = C_STORE_RQ()
    message.primitive_to_message(request)
    message.data_set = None
    most = assoc.dimse.maximum_pdu_size or DICOM_PDU_BYTES
    for command in message.encode_msg(context_id, most):
        assoc.dul.send_pdu(command)
    size = most - _FRAGMENT_HEAD
    try:
        for first in range(0, instance.size, size):
            end = min(first + size, instance.size)
            control = _LAST if end == instance.size else _NOT_LAST
            fragment = P_DATA()
            data = control + instance.read(first, end)
            fragment.presentation_data_value_list.append((context_id, data))
            if has_ended(assoc):
                raise PacsUnreachableError(f"{remote_of(assoc)} has ended the association")
            assoc.dul.send_pdu(fragment)
    except P2PacsError:
        assoc.abort()
        raise
