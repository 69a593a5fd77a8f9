"""The connection of an association: what of pynetdicom 3.0 we replace at its socket.

Why this is needed (each has a test that fails when pynetdicom changes it):

* `BoundedSocket.recv` of pynetdicom reads 4 KiB at a time and believes any PDU length.
* It never acknowledges early: a sender with Nagle's algorithm (Orthanc) then waits for our
  delayed ACK, 45 ms an image. TCP_QUICKACK ends that: small images come 13 times faster.
* Its reactor polls every millisecond with ``select``, which fails above file descriptor 1023.
* A peer that stops reading or sending blocks a thread for ever.
* PDUs to be sent are queued without a bound.
* Nothing is read while there is something to send: a C-CANCEL comes too late.
"""

from __future__ import annotations

import queue
import socket
import ssl
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from pynetdicom.pdu_primitives import P_DATA
from pynetdicom.transport import T_CONNECT, AddressInformation, AssociationSocket

from p2pacs.dimse.association.readable import readable
from p2pacs.dimse.association.tuning import TUNING, DimseTuning

if TYPE_CHECKING:
    from pynetdicom.association import Association

_POLL_SECONDS: Final = 0.01
"""How long the reactor sleeps when nothing happens: what its own timers and flags may be late."""

_QUEUED_MESSAGES: Final = 4
"""Messages received ahead of the service: without asynchronous operations there is one."""

_QUEUED_PDUS: Final = 32
"""PDUs that wait to be sent: 512 KiB of the usual 16 KiB ones, 32 MiB of the largest."""

_RECORD: Final = 16_384
"""Bytes of a TLS record at most (RFC 8446 5.1)."""

_ENDING: Final = "Sta13"
"""State of PS3.8 9.2: waiting for the connection to be closed."""

_NEGOTIATING: Final = ("Sta2", "Sta5")
"""States of PS3.8 9.2: waiting for an A-ASSOCIATE-RQ, and for its answer."""


class BoundedSocket(AssociationSocket):
    """pynetdicom's socket with bounded PDUs, early acknowledgement, deadlines and a wake-up.

    It may be one of TLS: of what comes from the network much is no data (a handshake, a ticket), so
    there it reads ahead without waiting. An accepted one gets through its handshake so, too: within
    the time for negotiation, and without keeping its thread.
    """

    def __init__(
        self,
        assoc: Association,
        client_socket: socket.socket | None = None,
        address: AddressInformation | None = None,
        tuning: DimseTuning = TUNING,
    ) -> None:
        self._tuning = tuning
        self.last_activity = self._opened = time.monotonic()
        self._ahead = bytearray()
        self._at_end = False
        self.tls: tuple[ssl.SSLContext, str] | None = None
        """How to secure a connection that is opened, and the name in the peer's certificate."""
        self.failure: ssl.SSLError | None = None
        """Why TLS ended the connection."""
        self.connected = False
        """Whether a connection that is opened once stood, secured where it is to be."""
        self._woken, self._waker = socket.socketpair()
        self._woken.setblocking(False)
        self._waker.setblocking(False)
        super().__init__(assoc, client_socket, address)
        # The reactor then waits in `ready`, not in time.sleep().
        assoc.dul._run_loop_delay = 0
        assoc.dul.to_provider_queue = _WakingQueue(self)
        self._send_next = assoc.dul._process_recv_primitive
        self._sent_last = False
        assoc.dul._process_recv_primitive = self._send_fairly  # type: ignore[method-assign]
        if self.socket is not None and client_socket is not None:
            _tune(self.socket)

    def connect(self, primitive: T_CONNECT) -> None:
        """Connect as pynetdicom does, then set our options, and secure it."""
        super().connect(primitive)
        self._opened = time.monotonic()
        if self.socket is None:
            return
        _tune(self.socket)
        if self.tls is not None:
            try:
                self._secure(self.socket, *self.tls)
            except OSError as error:
                self._fail(error)
                self._shutdown_socket()
                self.socket = None
                self._is_connected = False
                primitive.result = "Evt17"  # it waits to be looked at, by this thread
                return
        self.connected = True

    def _secure(self, sock: socket.socket, context: ssl.SSLContext, name: str) -> None:
        secured = context.wrap_socket(sock, do_handshake_on_connect=False, server_hostname=name)
        self.socket = secured  # `shut` ends a handshake, too
        secured.settimeout(self._tuning.negotiate)
        secured.do_handshake()

    def _fail(self, error: OSError) -> None:
        if isinstance(error, ssl.SSLError) and self.failure is None:
            self.failure = error

    def wake(self) -> None:
        """Let the reactor look at its queues now; from any thread."""
        try:
            self._waker.send(b"\0")
        except OSError:
            return  # full, so it wakes anyway; or closed

    def _send_fairly(self) -> bool:
        """Send the next PDU, but not twice while there is something to read."""
        if self.assoc.dul.state_machine.current_state == _ENDING:
            # What a service goes on saying has no place after an abort, nor in the state machine.
            waiting = self.assoc.dul.to_provider_queue
            while waiting.queue and isinstance(waiting.queue[0], P_DATA):
                waiting.get(block=False)
        self._sent_last = not (self._sent_last and self._readable(0)) and self._send_next()
        return self._sent_last

    @property
    def ready(self) -> bool:
        """Whether there is something to read; waits for it, or for `wake`, a moment."""
        return self._readable(_POLL_SECONDS)

    def _readable(self, seconds: float) -> bool:
        sock = self.socket
        if sock is None or not self._is_connected:
            time.sleep(min(seconds, 0.001))
            return False
        full = self.assoc.dimse.msg_queue.qsize() >= _QUEUED_MESSAGES
        secured = sock if isinstance(sock, ssl.SSLSocket) else None
        if not full and (self._ahead or self._at_end or (secured and secured.pending())):
            return True
        try:
            found = readable([self._woken] if full else [self._woken, sock], seconds)
            if self._woken in found:
                self._woken.recv(4096)
            return sock in found and (secured is None or self._look(secured))
        except (OSError, ValueError) as error:  # broken, or closed by another thread
            if isinstance(error, OSError):
                self._fail(error)
            self.event_queue.put("Evt17")
            return False

    def _look(self, sock: ssl.SSLSocket) -> bool:
        """Whether what came over TLS is data, or the end."""
        sock.settimeout(0)
        try:
            data = sock.recv(_RECORD)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return False
        self._ahead += data
        self._at_end = not data
        return True

    def recv(self, nr_bytes: int) -> bytearray:
        """Exactly ``nr_bytes``; fewer at the end of the stream, or when they did not come in time.

        Raises:
            OSError: more than we offered to receive, or the connection is broken.
        """
        if nr_bytes > self._tuning.pdu_bytes:
            raise OSError(f"a PDU of {nr_bytes} bytes is longer than was agreed")
        sock = self.socket
        if sock is None:
            return bytearray()
        deadline = self._deadline(nr_bytes)
        data = bytearray(nr_bytes)
        view, received = memoryview(data), min(nr_bytes, len(self._ahead))
        view[:received] = self._ahead[:received]
        del self._ahead[:received]
        while received < nr_bytes and not self._at_end:
            sock.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                count = sock.recv_into(view[received:])
            except TimeoutError:
                count = 0
            if not count or time.monotonic() > deadline:
                return data[:received]
            received += count
        if received < nr_bytes:
            return data[:received]
        self.last_activity = time.monotonic()
        _acknowledge_now(sock)
        return data

    def send(self, bytestream: bytes) -> None:
        """All of ``bytestream``; a peer that does not read it in time is given up."""
        sock = self.socket
        if sock is None:
            return
        view, deadline = memoryview(bytestream), time.monotonic() + self._seconds(len(bytestream))
        try:
            while view:  # over TLS each record of a sendall would have the time for all
                sock.settimeout(max(0.001, deadline - time.monotonic()))
                view = view[sock.send(view) :]
            self.last_activity = time.monotonic()
            _acknowledge_now(sock)
        except OSError:
            self.event_queue.put("Evt17")

    def _deadline(self, size: int) -> float:
        """When so many bytes must be here: the clock does not start anew with each of them."""
        deadline = time.monotonic() + self._seconds(size)
        if self.assoc.dul.state_machine.current_state in _NEGOTIATING:
            deadline = min(deadline, self._opened + self._tuning.negotiate)
        return deadline

    def _seconds(self, size: int) -> float:
        return self._tuning.pdu + size / self._tuning.slowest

    def _shutdown_socket(self) -> None:
        if isinstance(self.socket, ssl.SSLSocket):
            with suppress(OSError, ValueError):  # a farewell (close_notify); nobody waits for its
                self.socket.settimeout(0)
                self.socket.unwrap()
        super()._shutdown_socket()
        self.dispose()

    def dispose(self) -> None:
        """Close all that is open, whatever state it is in."""
        for one in (self.socket, self._woken, self._waker):
            if one is not None:
                one.close()

    def shut(self) -> None:
        """End the connection from any thread: whoever reads or writes it notices at once."""
        sock = self.socket
        if sock is not None:
            try:
                # Not that of TLS: what is left to read would be taken for plain text.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
            except OSError:
                return  # not connected any more


class _WakingQueue(queue.Queue[Any]):
    """What is to be sent: putting something in wakes the reactor; data wait for their turn.

    pynetdicom cuts a whole message into PDUs at once, which would double a large instance
    in memory, and would keep thousands of answers in front of what comes later.
    """

    def __init__(self, sock: BoundedSocket) -> None:
        super().__init__()
        self._sock = sock

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        if isinstance(item, P_DATA):
            with self.not_full:
                while self._qsize() >= _QUEUED_PDUS and self._sock.assoc.dul.is_alive():
                    self.not_full.wait(1.0)
        super().put(item, block, timeout)
        self._sock.wake()


def _tune(sock: socket.socket) -> None:
    """No Nagle; nothing if it is closed already."""
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _acknowledge_now(sock)
    except OSError:
        return


def _acknowledge_now(sock: socket.socket) -> None:
    # Linux only, and not lasting: it has to be set again after every exchange (tcp(7)).
    if hasattr(socket, "TCP_QUICKACK"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
