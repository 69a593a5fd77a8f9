"""The private parts of pynetdicom 3.0 that we replace at the level of associations.

C-GET and C-MOVE requests go to our own services (`Association.services`) instead of pynetdicom's,
and whatever an association ends with, nothing of it stays open.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import structlog
from pynetdicom import AE, evt
from pynetdicom.association import Association as _Association
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.pdu_primitives import A_P_ABORT
from pynetdicom.presentation import PresentationContext
from pynetdicom.service_class import StorageServiceClass

from p2pacs.dataset.search_options import SearchOptions
from p2pacs.dimse.association.bounded_socket import BoundedSocket
from p2pacs.dimse.association.tuning import TUNING, DimseTuning
from p2pacs.dimse.association.upper_layer import Dimse, Reactor

log = structlog.get_logger(__name__)

_FAREWELL_SECONDS: Final = 0.3
"""How long an A-ABORT may take to leave before the connection is cut."""

Handlers = Sequence[tuple[Any, Callable[[evt.Event], Any]]]
Service = Callable[["Association", Any, PresentationContext], None]


class Association(_Association):
    """An association whose C-GET and C-MOVE requests are served by us, from raw bytes."""

    def __init__(self, ae: AE, mode: str, tuning: DimseTuning = TUNING) -> None:
        super().__init__(ae, mode)
        self.tuning = tuning
        self.services: Mapping[type, Service] = {}
        self.dimse: Dimse = Dimse(self)
        self.dimse.largest_message = tuning.message_bytes
        self.dul: Reactor = Reactor(self)
        # Setting them is what tells the reactor of its timers.
        self.acse_timeout, self.network_timeout = self.acse_timeout, self.network_timeout
        self.proposed: Sequence[tuple[str, Sequence[str]]] = ()
        """SOP Class and transfer syntaxes of each context that the requestor proposed."""
        self.options: dict[str, SearchOptions] = {}
        """FIND class → what was agreed on for its searches."""
        self._serving = False
        self._between: deque[Callable[[], None]] = deque()
        self.dimse.idle = self._do_between
        self.ended: Callable[[], None] = _nothing
        """Called when an accepted association is over and its connection closed."""

    def run_reactor(self) -> None:
        """As pynetdicom's; however it ends, nothing of it stays open."""
        try:
            super().run_reactor()
        finally:
            self.kill()
            self.dul.join(self.tuning.farewell)
            self.dimse.end()
            self.ended()

    def kill(self) -> None:
        """End both threads: in order, or by force where the peer keeps them from it.

        pynetdicom waits without an end until the state machine is idle, which it never gets
        while its thread is in the middle of a PDU.
        """
        self._reactor_checkpoint.set()
        self._kill = True
        self.is_established = False
        self._is_paused = True
        deadline = time.monotonic() + self.tuning.farewell
        while self.dul.is_alive() and not self.dul.stop_dul() and time.monotonic() < deadline:
            time.sleep(0.01)
        self.dul.kill_dul()
        sock = self.dul.socket
        if isinstance(sock, BoundedSocket) and self.dul.is_alive():
            sock.shut()
            sock.wake()

    def unused(self) -> float:
        """Seconds since something came or went; 0 while a request is served."""
        sock = self.dul.socket
        if self._serving or not isinstance(sock, BoundedSocket):
            return 0.0
        return time.monotonic() - sock.last_activity

    def between_requests(self, work: Callable[[], None]) -> None:
        """Have something done in the thread that serves requests of an accepted association, when
        there is none; from any thread. It is not done if the association ends before."""
        self._between.append(work)

    def _do_between(self) -> None:
        if not self._between or has_ended(self):
            return
        self._serving = True
        try:
            self._between.popleft()()
        finally:
            self._serving = False

    def _serve_request(self, msg: Any, context_id: int) -> None:
        self._serving = True
        try:
            self._serve(msg, context_id)
        finally:
            self._serving = False

    def _serve(self, msg: Any, context_id: int) -> None:
        service = self.services.get(type(msg))
        if isinstance(msg, C_STORE):  # of any SOP Class, private ones included
            service = _serve_store
        context = self._accepted_cx.get(context_id)
        if service is None or context is None or self._sent_release or not msg.is_valid_request:
            super()._serve_request(msg, context_id)
            return
        self.dimse.cancel_req = {}
        was_paused = self._is_paused  # a requestor's is all the time
        self._is_paused = True
        try:
            service(self, msg, context)
        finally:
            self._is_paused = was_paused
            self.dimse.cancel_req = {}
            # Only what the peer sends restarts it, and the peer was waiting for us.
            self.dul._idle_timer.restart()

    def _c_store_scp(self, req: C_STORE) -> None:
        if not req.is_valid_request or req._context_id not in self._accepted_cx:
            log.warning("C-STORE request against the protocol", remote=remote_of(self))
            self.abort(block=False)
            return
        super()._c_store_scp(req)


def _nothing() -> None:
    return


def _serve_store(assoc: Association, msg: Any, context: PresentationContext) -> None:
    StorageServiceClass(assoc).SCP(msg, context)


def remote_of(assoc: _Association) -> str:
    """The peer of an association, for logs."""
    user = assoc.acceptor if assoc.is_requestor else assoc.requestor
    where = user.address_info
    address = f"{where.address}:{where.port}" if where is not None else "?"
    return f"{user.ae_title}@{address}"


def has_ended(assoc: _Association) -> bool:
    """Whether an association is over, or about to be."""
    ending = assoc.dul.peek_next_pdu() is not None
    return ending or not assoc.is_established or not assoc.dul.is_alive()


def release(assoc: _Association) -> None:
    """End an association in order, unless it has ended."""
    if not has_ended(assoc):
        assoc.release()


def hang_up(assoc: _Association) -> None:
    """End an association at once, whatever its threads wait for; from any other thread."""
    sock = assoc.dul.socket
    if isinstance(sock, BoundedSocket) and not sock._ready.is_set():
        # Not connected yet: an abort has no place in the reactor's state machine and would
        # kill it before it lets go of whoever waits for the connection.
        assoc._sent_abort = True
        assoc.dul._kill_thread = True
        sock._ready.set()
    assoc.abort(block=False)
    if assoc.dul.ident is not None:
        assoc.dul.join(_FAREWELL_SECONDS)
    sock = assoc.dul.socket
    if isinstance(sock, BoundedSocket):
        sock.shut()
    # Whoever negotiates or waits for a message wakes; twice, as the reactor may take one.
    assoc.dul.to_user_queue.put(A_P_ABORT())
    assoc.kill()
    if assoc.ident is not None:
        assoc.join(_FAREWELL_SECONDS)
    assoc.dimse.msg_queue.put((None, None))
    assoc.dimse.msg_queue.put((None, None))
