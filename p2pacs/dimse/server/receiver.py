"""A storage SCP of our own, where a PACS without C-GET sends what we ask for by C-MOVE, and where
it reports what it commits to."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from pynetdicom import evt

from p2pacs.dataset.bare import with_own_uids
from p2pacs.dataset.incoming import IncomingInstance, IncomingOnDisk, InstanceUids
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dataset.large import LargeInstance
from p2pacs.dimse.association.association import remote_of
from p2pacs.dimse.association.inbox import Inbox
from p2pacs.dimse.association.received import Receive, ReceivedDataSet
from p2pacs.dimse.association.remote import MakeContext, check_aet
from p2pacs.dimse.server.commitment_reports import CommitmentReports
from p2pacs.dimse.server.listener import Listener
from p2pacs.errors import BrokenInstanceError, P2PacsError
from p2pacs.units import Endpoint

if TYPE_CHECKING:
    from pynetdicom.dimse_primitives import C_STORE

log = structlog.get_logger(__name__)


class StorageReceiver:
    """Takes C-STORE sub-operations of our own C-MOVE requests, reports of Storage Commitment that
    we asked for, and nothing else.

    Which request an instance belongs to is told by the Move Originator Message ID;
    a PACS that leaves it out (it is optional, PS3.7 9.3.1.1) can serve one request
    at a time.
    """

    def __init__(self, aet: str) -> None:
        self.aet = check_aet(aet)
        self._lock = threading.Lock()
        self._numbers = count()
        self._inboxes: dict[int, Inbox] = {}
        self.reports = CommitmentReports()
        """Of Storage Commitment, which the PACS may report here, too."""

    @contextmanager
    def expecting(self, inbox: Inbox) -> Iterator[int]:
        """Route instances into ``inbox``; gives the message id for the C-MOVE request."""
        with self._lock:
            number = next(self._numbers) % 0xFFFF + 1
            self._inboxes[number] = inbox
        try:
            yield number
        finally:
            with self._lock:
                del self._inboxes[number]

    def take(self, event: evt.Event) -> int:
        """C-STORE handler; the status to answer."""
        request: C_STORE = event.request  # type: ignore[assignment]
        with self._lock:
            inbox = self._inboxes.get(request.MoveOriginatorMessageID or 0)
            if inbox is None and len(self._inboxes) == 1:
                inbox = next(iter(self._inboxes.values()))
        if inbox is None:
            log.warning("instance refused: nobody asked for it", remote=remote_of(event.assoc))
            return 0x0124
        try:
            instance = instance_of(event)
        except P2PacsError as error:
            inbox.close(error)
            return 0xC000 if isinstance(error, BrokenInstanceError) else error.dicom_status
        return 0x0000 if inbox.put(instance) else 0xA700


@asynccontextmanager
async def storage_receiver(
    aet: str,
    endpoint: Endpoint,
    *,
    senders: Collection[str] = (),
    tls: MakeContext | None = None,
    folder: Path | None = None,
) -> AsyncIterator[StorageReceiver]:
    """A running receiver.

    Args:
        aet: our AE title, which the PACS must know as a destination.
        endpoint: where to listen.
        senders: the hosts that are asked to send here; room is kept for them.
        tls: for those who send; None: nothing is encrypted.
        folder: on whose disk large instances lie; None: they are in memory.

    Raises:
        StateError: the endpoint is taken.
    """
    receiver = StorageReceiver(aet)
    listener = Listener(
        aet,
        endpoint,
        stores=True,
        handlers=[(evt.EVT_C_STORE, receiver.take)],
        receiver=None if folder is None else lambda _assoc: onto_disk(folder),
        known_hosts=lambda: senders,
        tls=tls,
    )
    listener.services = receiver.reports.services()
    async with listener.listening():
        yield receiver


def onto_disk(folder: Path) -> Receive:
    """Has instances gathered, large ones on the disk of a folder; `instance_of` gives them."""

    def receive(uids: InstanceUids, _told: str) -> IncomingInstance:
        return IncomingOnDisk(uids, folder)

    return receive


def instance_of(event: evt.Event) -> EncodedInstance | LargeInstance:
    """What a C-STORE request carries: its bytes as they came, under the UIDs that they name.

    Raises:
        BrokenInstanceError: no data set in it.
        LocalError: it is large, and could not be written to the disk.
    """
    request: C_STORE = event.request  # type: ignore[assignment]
    if isinstance(request.DataSet, ReceivedDataSet):
        with closing(request.DataSet) as received:
            kept = received.keep()
        if isinstance(kept, EncodedInstance | LargeInstance):
            return kept
    # Without ``include_meta=False`` pynetdicom puts a file header of its own in front (#946).
    data = event.encoded_dataset(include_meta=False) if request.DataSet is not None else b""
    if not data:
        raise BrokenInstanceError(f"{remote_of(event.assoc)} sent an instance without a data set")
    return with_own_uids(
        EncodedInstance(
            sop_class_uid=str(request.AffectedSOPClassUID),
            sop_instance_uid=str(request.AffectedSOPInstanceUID),
            transfer_syntax_uid=str(event.context.transfer_syntax),
            data=data,
        )
    )
