"""Accepts DICOM connections: within bounds, and an association with two threads for each."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import structlog
from pynetdicom import AE
from pynetdicom.transport import AssociationServer, RequestHandler

from p2pacs.dimse.association.association import Association, Handlers, Service
from p2pacs.dimse.association.bounded_socket import BoundedSocket
from p2pacs.dimse.association.received import Receive
from p2pacs.dimse.association.tuning import DimseTuning
from p2pacs.dimse.server.association_limits import Admitted, AssociationLimits
from p2pacs.process.sparse_log import Sparse

log = structlog.get_logger(__name__)

_TELL_SECONDS: Final = 60.0
"""Between two lines of the log on connections turned away: a flood must not fill the log."""

_FULL_SECONDS: Final = 0.2
"""After a connection could not be accepted, for want of a descriptor most likely."""


class _Handler(RequestHandler):
    """Makes our associations for connections that come in."""

    server: Server

    def handle(self) -> None:
        """Make an association and start it."""
        assoc = self._create_association()
        try:
            assoc.start()
        except RuntimeError:  # no thread to be had: nobody else would say that it is over
            assoc.ended()
            raise

    def _create_association(self) -> Association:
        ae = self.server.ae
        assoc = Association(ae, "acceptor", self.server.tuning)
        assoc._server = self.server
        assoc.name = "AcceptorThread@p2pacs"
        assoc.services = self.server.services
        assoc.dimse.largest_data_set = self.server.largest_data_set
        if self.server.receiver is not None:
            assoc.dimse.receive = self.server.receiver(assoc)
        sock = self.server.secured(self.request)
        assoc.set_socket(BoundedSocket(assoc, client_socket=sock, tuning=self.server.tuning))
        assoc.acceptor.maximum_length = ae.maximum_pdu_size
        assoc.acceptor.ae_title = self.server.ae_title
        assoc.acceptor.address_info = self.local
        assoc.acceptor.implementation_class_uid = ae.implementation_class_uid
        assoc.acceptor.implementation_version_name = ae.implementation_version_name
        assoc.requestor.address_info = self.remote
        self.server.takes(assoc)
        for event, handler in self.server.handlers:
            assoc.bind(event, handler)
        return assoc


class Server(AssociationServer):
    """Listens, and starts an association for each connection that is let in."""

    request_queue_size = 512
    """A queue that is full drops who comes, who tries again after a second: with 64 places it was
    filled by eight hosts that connect and hang up."""

    def __init__(
        self,
        ae: AE,
        address: tuple[str, int],
        *,
        handlers: Handlers,
        services: Mapping[type, Service],
        largest_data_set: int,
        limits: AssociationLimits,
        tuning: DimseTuning,
        receiver: Callable[[Association], Receive] | None = None,
        tls: ssl.SSLContext | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tls = tls
        self._sparse = Sparse()
        self.handlers = handlers
        self.services = services
        self.largest_data_set = largest_data_set
        self.receiver = receiver
        self.tuning = tuning
        self._limits = limits
        self._entering: Admitted | None = None
        self._admitted: dict[Association, Admitted] = {}
        self._clock = clock
        self._turned_away = 0
        self._told = -_TELL_SECONDS
        super().__init__(ae, address, ae.ae_title, [], request_handler=_Handler)
        ae._servers.append(self)  # type: ignore[arg-type]

    def get_request(self) -> tuple[Any, tuple[str, int]]:
        """The next connection.

        Raises:
            OSError: it cannot be accepted.
        """
        try:
            return super().get_request()
        except OSError:
            time.sleep(_FULL_SECONDS)  # it stays in the queue, and would be tried without a pause
            raise

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Whether to serve this connection: silent ones take threads, too."""
        self._entering = self._limits.enter(client_address[0])
        if self._entering is None:
            self._tell(str(client_address[0]))
        return self._entering is not None

    def secured(self, sock: socket.socket) -> socket.socket:
        """An accepted connection as it is served; the handshake is its own thread's."""
        if self._tls is None:
            return sock
        return self._tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)

    def takes(self, assoc: Association) -> None:
        """The connection that was let in last has become an association's."""
        one, self._entering = self._entering, None
        if one is None:
            return
        self._admitted[assoc] = one

        def end() -> None:
            self._tell(one.source)
            sock = assoc.dul.socket
            if isinstance(sock, BoundedSocket):
                sock.shut()

        one.end, one.unused = end, assoc.unused

        def ended() -> None:
            self._admitted.pop(assoc, None)
            self._limits.leave(one)
            sock = assoc.dul.socket
            if isinstance(sock, BoundedSocket) and sock.failure is not None:
                why = str(sock.failure.reason or "broken off").replace("_", " ").lower()
                event, remote = "no TLS with who calls", one.source
                self._sparse.warn(log, event, (remote, why), self._clock(), remote=remote, why=why)

        assoc.ended = ended

    def may_associate(self, assoc: Association) -> bool:
        """Whether there is room for one more association from where this one comes from."""
        one = self._admitted.get(assoc)
        return one is not None and self._limits.associate(one)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Forget a connection that could not be served."""
        if self._entering is not None:
            self._limits.leave(self._entering)
        self._tell(str(client_address[0]), exc_info=True)

    def service_actions(self) -> None:
        """Nothing: pynetdicom would force a garbage collection every minute."""

    def _tell(self, address: str, **why: Any) -> None:
        self._turned_away += 1
        if self._clock() - self._told >= _TELL_SECONDS:
            log.warning(
                "DICOM connections turned away: too many from one address, or in all",
                remote=address,
                connections=self._turned_away,
                **why,
            )
            self._told, self._turned_away = self._clock(), 0
