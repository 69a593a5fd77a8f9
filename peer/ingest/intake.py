"""What is taken of what is sent here, and under which UIDs; in any thread."""

from __future__ import annotations

from collections.abc import Collection

from p2pacs.dataset.elements import attributes_of
from p2pacs.dataset.header import read_header
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dataset.json_model import Json, text
from p2pacs.dataset.uids import is_uid
from p2pacs.errors import BrokenInstanceError, ForbiddenError
from peer.ingest.spool import Spool
from peer.ingest.spool_records import SpoolOutcome

_UIDS = {
    "SOPClassUID": "SOP Class UID",
    "SOPInstanceUID": "SOP Instance UID",
    "StudyInstanceUID": "Study Instance UID",
    "SeriesInstanceUID": "Series Instance UID",
}


class Intake:
    """Keeps what is stored here. Threads may use it at once."""

    def __init__(self, spool: Spool, callers: Collection[str] = ()) -> None:
        """An intake.

        Args:
            spool: where instances are kept.
            callers: AE titles that may store; none: all.
        """
        self._spool = spool
        self._callers = frozenset(callers)

    def take(self, instance: EncodedInstance, caller: str) -> None:
        """Keep an instance; returns when it survives a power cut.

        Raises:
            ForbiddenError: the caller may not store here, or the study may not be sent.
            BrokenInstanceError: it lacks a UID, or contradicts those that came with it.
            DiskFullError: there is no room.
            LocalError: it cannot be written.
        """
        if self._callers and caller not in self._callers:
            raise ForbiddenError(f"{caller} may not store here: name it in sending.callers")
        take(self._spool, instance, caller)


def take(spool: Spool, instance: EncodedInstance, caller: str) -> SpoolOutcome:
    """Keep an instance that was sent; returns when it survives a power cut.

    Args:
        spool: where it is kept.
        instance: under the UIDs that came with it.
        caller: AE title, or whoever else sent it.

    Raises:
        BrokenInstanceError: it lacks a UID, or contradicts those that came with it.
        DiskFullError: there is no room.
        ForbiddenError: its study may not be sent from here.
        LocalError: it cannot be written.
    """
    return spool.put(instance, checked_attributes(instance), caller)


def checked_attributes(instance: EncodedInstance) -> Json:
    """What the header of an instance says, if it can be published.

    Raises:
        BrokenInstanceError: it lacks a UID, or contradicts those that came with it.
    """
    header = read_header(instance.data, instance.transfer_syntax_uid)
    if header is None:
        raise BrokenInstanceError("the header of an instance cannot be read")
    attributes = attributes_of(header)
    for keyword, name in _UIDS.items():
        if not is_uid(text(attributes, keyword)):
            raise BrokenInstanceError(f"an instance has no {name}")
    said = (text(attributes, "SOPClassUID"), text(attributes, "SOPInstanceUID"))
    if said != (instance.sop_class_uid, instance.sop_instance_uid):
        raise BrokenInstanceError("the UIDs in an instance are not those that came with it")
    return attributes
