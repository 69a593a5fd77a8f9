"""The data set of a C-STORE request while it comes: kept by whoever keeps it, not in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable
from io import BytesIO
from typing import Any, Final

from p2pacs.dataset.bare import with_own_uids
from p2pacs.dataset.incoming import IncomingInstance, InstanceUids
from p2pacs.errors import BrokenInstanceError, P2PacsError
from p2pacs.limits import KIB

BEGINNING_BYTES: Final = 64 * KIB
"""Of a data set are held until its own UIDs were looked for in them."""

Receive = Callable[[InstanceUids, str], IncomingInstance]
"""Who keeps an instance: told its own UIDs, and the SOP Instance UID of the request. Raises
`P2PacsError` where it may not come."""


class ReceivedDataSet(BytesIO):
    """What pynetdicom writes the fragments into. It takes all of them, also where the instance
    cannot be kept: then `error` says why, and the rest is dropped.

    Written in the thread that reads from the connection, kept in the one that serves requests.
    """

    def __init__(self, told: InstanceUids, receive: Receive, beginning: bytes = b"") -> None:
        """Nothing is kept before `BEGINNING_BYTES` came, or all.

        Args:
            told: the UIDs of the request and the transfer syntax of its context.
            receive: who keeps it.
            beginning: what came already.
        """
        super().__init__(beginning)
        self.seek(0, 2)
        self.error: P2PacsError | None = None
        """Why it cannot be kept."""
        self._told = told
        self._receive = receive
        self._incoming: IncomingInstance | None = None
        self._lock = threading.Lock()
        self._kept: object = None
        self._closed = False

    def write(self, piece: Any) -> int:
        """Take a fragment."""
        with self._lock:
            if not self._closed:
                self._attempt(lambda: self._take(piece))
        return len(piece)

    def keep(self) -> object:
        """All came: keep it; returns when it is safe, and what `IncomingInstance.keep` does.

        Raises:
            P2PacsError: it is not kept.
        """
        with self._lock:
            if not self._closed:
                self._attempt(self._keep)
            if self.error is not None:
                raise self.error
            return self._kept

    def close(self) -> None:
        """Nothing stays of it unless it was kept."""
        with self._lock:
            self._drop()
        super().close()

    def _attempt(self, step: Callable[[], None]) -> None:
        try:
            step()
        except P2PacsError as error:
            self.error = error
            self._drop()

    def _take(self, piece: bytes) -> None:
        if self._incoming is not None:
            self._incoming.write(piece)
            return
        super().write(piece)
        if self.tell() >= BEGINNING_BYTES:
            self._begin()

    def _keep(self) -> None:
        if self._incoming is None:
            self._begin()
        if self._incoming is not None:
            self._kept = self._incoming.keep()

    def _begin(self) -> None:
        """Have it kept under the UIDs that it names itself (PS3.7 9.1.1.1)."""
        beginning = self.getvalue()
        if not beginning:
            raise BrokenInstanceError("an instance without a data set")
        own = InstanceUids.of(with_own_uids(self._told.with_data(beginning)))
        self._incoming = self._receive(own, self._told.instance)
        self._incoming.write(beginning)
        self._empty()

    def _drop(self) -> None:
        self._closed = True
        if self._incoming is not None:
            self._incoming.close()
        self._empty()

    def _empty(self) -> None:
        self.seek(0)
        self.truncate()
