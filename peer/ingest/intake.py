"""Who may store here, and instances into the spool; in any thread."""

from __future__ import annotations

from collections.abc import Collection

from p2pacs.dataset.incoming import InstanceUids
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.errors import ForbiddenError
from peer.ingest.receiving import Receiving
from peer.spool.records import SpoolOutcome
from peer.spool.spool import Spool


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

    def receive(
        self, caller: str, uids: InstanceUids | None = None, *, syntax: str = ""
    ) -> Receiving:
        """Begin to keep an instance, a context manager: `Receiving.write` its bytes as they come,
        then `Receiving.keep` it; else nothing stays of it.

        Args:
            caller: AE title, or whoever else sends it.
            uids: what is written is the data set that has these; None: a DICOM file (PS3.10 7),
                or what is left of one.
            syntax: transfer syntax of that, if somebody told it.

        Raises:
            ForbiddenError: the caller may not store here.
        """
        if self._callers and caller not in self._callers:
            raise ForbiddenError(f"{caller} may not store here: name it in sending.callers")
        return Receiving(self._spool, caller, uids, syntax=syntax)

    def take(self, instance: EncodedInstance, caller: str) -> SpoolOutcome:
        """Keep an instance that is in memory; returns when it survives a power cut.

        Raises:
            ForbiddenError: the caller may not store here, or the study may not be sent.
            BrokenInstanceError: it lacks a UID, or contradicts those that came with it.
            DiskFullError: there is no room.
            LocalError: it cannot be written.
        """
        with self.receive(caller, InstanceUids.of(instance)) as receiving:
            return _take(receiving, instance)


def take(spool: Spool, instance: EncodedInstance, caller: str) -> SpoolOutcome:
    """The same for whoever may store.

    Raises:
        BrokenInstanceError, DiskFullError, ForbiddenError, LocalError: see `Intake.take`.
    """
    with Receiving(spool, caller, InstanceUids.of(instance)) as receiving:
        return _take(receiving, instance)


def _take(receiving: Receiving, instance: EncodedInstance) -> SpoolOutcome:
    receiving.write(instance.data)
    return receiving.keep()
