"""Instances that come over HTTP as files (PS3.10), on their way into the spool: what STOW-RS stores
into (a `p2pacs.dicomweb.server.store_backend.StoreBackend`), and ``p2pacs send``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import trio

from p2pacs.dataset.dicomdir import MEDIA_STORAGE_DIRECTORY
from p2pacs.dicomweb.server.store_backend import KeptInstance
from p2pacs.errors import BrokenInstanceError, NotAcceptableError, WrongStudyError
from peer.ingest.receiving import Receiving
from peer.spool.records import SpoolOutcome
from peer.spool.spool import Spool


class IncomingFiles:
    """Takes files that come in pieces."""

    def __init__(self, spool: Spool, caller: str, check_membership: Callable[[], None]) -> None:
        """Files on their way.

        Args:
            spool: where they are kept.
            caller: the AE title that they count as sent from, as HTTP has none.
            check_membership: raises a RevokedError where this member was revoked.
        """
        self.spool = spool
        self._sent_from = caller
        self._check_membership = check_membership

    @asynccontextmanager
    async def receive(self, caller: str, study: str | None) -> AsyncIterator[IncomingFile]:
        """A file that comes now; left without `IncomingFile.keep` nothing of it stays.

        Args:
            caller: who sends it.
            study: the Study Instance UID that it must have, if any.

        Raises:
            RevokedError: this member was revoked.
        """
        del caller  # what the administrator's rule may name is an AE title
        self._check_membership()
        receiving = Receiving(self.spool, self._sent_from)
        try:
            yield IncomingFile(receiving, study)
        finally:
            with trio.CancelScope(shield=True):  # removing a file takes no time
                await trio.to_thread.run_sync(receiving.close)


class IncomingFile:
    """One file that comes."""

    def __init__(self, receiving: Receiving, study: str | None) -> None:
        self._receiving = receiving
        self._study = study

    @property
    def sop_class_uid(self) -> str:
        """Of what kind it is; empty as long as, or if, that is not known."""
        return "" if self._receiving.uids is None else self._receiving.uids.sop_class

    @property
    def sop_instance_uid(self) -> str:
        """Which one it is; likewise."""
        return "" if self._receiving.uids is None else self._receiving.uids.instance

    async def write(self, piece: bytes) -> None:
        """The next bytes of it.

        Raises:
            P2PacsError: see `Receiving.write`.
        """
        await trio.to_thread.run_sync(self._receiving.write, piece)

    async def keep(self) -> KeptInstance:
        """That was all of it; returns when it survives a power cut.

        Raises:
            NotAcceptableError: it is the directory of a medium.
            WrongStudyError: it is of another study than it must be.
            P2PacsError: see `Receiving.keep`.
        """
        return await trio.to_thread.run_sync(self._keep)

    def _keep(self) -> KeptInstance:
        try:
            arrived = self._receiving.describe()
        except BrokenInstanceError as error:
            if self.sop_class_uid == MEDIA_STORAGE_DIRECTORY:
                said = "this is a DICOMDIR: send the files that it names"
                raise NotAcceptableError(said) from error
            raise
        if self._study not in (None, arrived.study_uid):
            raise WrongStudyError("it is of another study than the address names")
        outcome = self._receiving.keep()
        return KeptInstance(
            arrived.study_uid,
            arrived.series_uid,
            arrived.sop_class,
            arrived.uid,
            known=outcome is SpoolOutcome.KNOWN,
            beside=outcome is SpoolOutcome.BESIDE,
        )
