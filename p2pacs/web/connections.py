"""The connections of a web server: each holds a place, is fenced in, and is closed at the end.

Hypercorn speaks HTTP on each of them. An error that it makes of a stranger's bytes (0.18 does of an
HTTP/2 path that is not ASCII, or of a body that goes on after the answer) ends that connection and
not the server, which its own accept loop would let happen.
"""

from __future__ import annotations

import logging
import os
import ssl
import sys
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from typing import Final, cast

import h11
import structlog
import trio
from attrs import frozen
from h2.exceptions import H2Error
from h11 import ProtocolError
from hpack import HPACKError
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ASGIFramework, LifespanState
from priority.priority import PriorityError
from starlette.types import ASGIApp

from p2pacs import limits
from p2pacs.admission import Admission, AdmissionTuning
from p2pacs.errors import BusyError
from p2pacs.process.sparse_log import Sparse, SparseFilter
from p2pacs.units import IPNetwork
from p2pacs.web.body import STATE, SendBody

log = structlog.get_logger(__name__)

_PLACES: Final = AdmissionTuning(
    strangers=limits.WEB_STRANGERS,
    strangers_of_one=limits.WEB_STRANGERS_OF_ONE,
    known=limits.WEB_KNOWN,
    known_of_one=limits.WEB_KNOWN,
)

_LOOPBACK: Final = ("127.0.0.1", "::1")

_LIBRARY_ERRORS: Final = (
    *(ArithmeticError, AssertionError, AttributeError, LookupError, OSError),
    *(RuntimeError, TypeError, ValueError),
    *(trio.BrokenResourceError, trio.BusyResourceError, trio.ClosedResourceError),
    *(H2Error, HPACKError, PriorityError, ProtocolError),
)
"""What an HTTP library may raise over bytes that its authors did not think of."""

_ERRORS: Final = logging.getLogger("p2pacs.web")
"""Where Hypercorn logs what applications raise."""
_ERRORS.addFilter(SparseFilter())


@frozen
class ServingTuning:
    """Deadlines of connections, in seconds."""

    head: float = 15.0
    """From the connection, or the answer before, to a whole head of a request."""
    handshake: float = 10.0
    """For TLS."""
    grace: float = 3.0
    """For requests under way when the server stops."""
    stuck: float = 20.0
    """In which a client must acknowledge something: Hypercorn shields its writes from being
    cancelled."""
    accept_again: float = 0.1
    """After the system had no descriptor for a connection."""


def web_admission(proxies: Iterable[IPNetwork] = ()) -> Admission:
    """Places of a web server: programs of this machine, and its proxies, have their own."""
    admission = Admission(_PLACES)
    single = [str(one.network_address) for one in proxies if one.num_addresses == 1]
    admission.list_hosts([*_LOOPBACK, *single])
    return admission


def write_now(stream: trio.SocketStream, data: bytes | memoryview) -> memoryview:
    """Send as much of it as the system takes at once; what is left.

    Raises:
        OSError: the connection is broken, or was closed here.
    """
    left = memoryview(data)
    if sys.platform != "win32":  # where a socket is no file
        handle = stream.socket.fileno()
        with suppress(BlockingIOError):
            while left:
                left = left[os.write(handle, left) :]
    return left


async def write_all(stream: trio.SocketStream, data: bytes | memoryview) -> None:
    """Send all of it. Trio's own way goes through the event loop also where nothing is waited for.

    Raises:
        OSError: the connection is broken.
        trio.ClosedResourceError: it was closed here.
    """
    if sys.platform == "win32":  # where a socket is no file
        await stream.send_all(data)
        return
    while left := write_now(stream, data):
        data = left
        await trio.lowlevel.wait_writable(stream.socket)
    await trio.lowlevel.checkpoint()


class WebConnection(TCPServer):
    """One connection of Hypercorn's, on which nobody reports what cannot be sent any more.

    It ends when the client has gone: Hypercorn (0.18) holds it, and with it a place, until the time
    is over in which the client might have asked for something else.
    """

    _gone = False

    def direct(self) -> SendBody | None:
        """What sends the body of an answer without copying it; None for HTTP/2, which frames it."""
        speaking = self.protocol.protocol
        if isinstance(speaking, H11Protocol) and isinstance(speaking.connection, h11.Connection):
            return partial(self._send_data, speaking.connection)
        return None

    async def _send_data(self, connection: h11.Connection, data: bytes | memoryview) -> None:
        try:
            parts = connection.send_with_data_passthrough(h11.Data(data=cast("bytes", data)))
        except h11.LocalProtocolError:
            if connection.their_state is not h11.ERROR:
                raise
            return  # what the client says is no HTTP: it is turned out
        for part in parts or ():
            if isinstance(self.stream, trio.SocketStream) and not self._gone:
                await self._write(self.stream, part)
            else:
                await self.protocol_send(RawData(part))

    async def _write(self, stream: trio.SocketStream, data: bytes | memoryview) -> None:
        """As `TCPServer.protocol_send`, in one turn of the event loop each time that the client
        has taken something, and not in three."""
        async with self.send_lock:
            try:
                left = write_now(stream, data)
                if left:
                    with trio.CancelScope(shield=True):
                        await write_all(stream, left)
            except (OSError, trio.ClosedResourceError, trio.BusyResourceError):
                await self.protocol.handle(Closed())

    async def _read_data(self) -> None:
        await super()._read_data()
        self._gone = True
        await self.idle_task.stop()

    async def protocol_send(self, event: Event) -> None:
        """Send; on a connection that is being closed meanwhile, nothing.

        The reader closes it when the request turns out to be none, also in the middle of an answer
        (of 413, to a chunked body that is too long): to the application the client has left.
        """
        if self._gone and isinstance(event, Updated):
            return  # an answer ended after the client had gone: nothing is waited for
        # At the end of its answer an application is told that the client is gone, and cancels what
        # it does: also this, in the middle of closing, and the client would wait for the end.
        with trio.CancelScope(shield=isinstance(event, Closed)):
            await self._send_event(event)

    async def _send_event(self, event: Event) -> None:
        try:
            await super().protocol_send(event)
        except trio.BusyResourceError:
            await self.protocol.handle(Closed())


class Connections:
    """Serves one application on many connections."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        tls: ssl.SSLContext | None,
        admission: Admission,
        tuning: ServingTuning,
    ) -> None:
        self._app = ASGIWrapper(cast("ASGIFramework", app))
        self._tls = tls
        self._admission = admission
        self._config = _config(tuning)
        self._context = WorkerContext(None)
        self._open: set[trio.SocketStream] = set()
        self._sparse = Sparse()

    def __len__(self) -> int:
        return len(self._open)

    async def serve(self, stream: trio.SocketStream) -> None:
        """Speak with one client until it or we have enough; the socket is closed then."""
        scope = trio.CancelScope()

        def turn_out() -> None:
            scope.cancel()
            stream.socket.close()

        self._open.add(stream)
        try:
            address = stream.socket.getpeername()[0]
            with scope, self._admission.place(address, trio.current_time(), turn_out):
                await self._speak(stream)
        except BusyError:
            self._say("no place for a further connection", turned_away=self._admission.turned_away)
        except OSError as error:
            log.debug("connection was gone at once", why=error.strerror)
        finally:
            self._open.discard(stream)
            stream.socket.close()

    async def _speak(self, stream: trio.SocketStream) -> None:
        # It takes either kind of stream, and says so of one.
        secured = stream if self._tls is None else _secured(stream, self._tls)
        spoken = cast("trio.SSLStream[trio.SocketStream]", secured)
        try:
            state = LifespanState({})
            connection = WebConnection(self._app, self._config, self._context, state, spoken)
            state[STATE] = connection.direct
            await connection.run()
        except* _LIBRARY_ERRORS as group:
            kinds = sorted({type(error).__name__ for error in _leaves(group)})
            self._say("a connection ended by an error of the HTTP library", errors=kinds)

    async def stop(self) -> None:
        """Idle connections are closed now; each of the others after its answer."""
        await self._context.terminated.set()

    def close(self) -> None:
        """Close all sockets, also under writes that cannot be cancelled."""
        for stream in self._open:
            stream.socket.close()

    def _say(self, what: str, **details: object) -> None:
        left_out = self._sparse.lets(what, trio.current_time())
        if left_out is not None:
            log.warning(what, left_out=left_out, **details)


def _config(tuning: ServingTuning) -> Config:
    config = Config()
    config.accesslog = None
    config.errorlog = _ERRORS
    config.include_server_header = False
    config.keep_alive_timeout = tuning.head
    config.ssl_handshake_timeout = tuning.handshake
    config.h2_max_concurrent_streams = limits.WEB_STREAMS
    return config


def _secured(
    stream: trio.SocketStream, context: ssl.SSLContext
) -> trio.SSLStream[trio.SocketStream]:
    return trio.SSLStream(stream, context, server_side=True, https_compatible=True)


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    return [
        leaf
        for error in group.exceptions
        for leaf in (_leaves(error) if isinstance(error, BaseExceptionGroup) else [error])
    ]
