"""Serve an ASGI application on trio: known port, TLS, bounded connections, graceful stop."""

from __future__ import annotations

import errno
import socket
import ssl
import sys
from typing import Final, Protocol

import structlog
import trio
from starlette.types import ASGIApp

from p2pacs.admission import Admission
from p2pacs.process.listening import ListenError
from p2pacs.process.sparse_log import Sparse
from p2pacs.units import Endpoint
from p2pacs.web.connections import Connections, ServingTuning, web_admission

log = structlog.get_logger(__name__)

_BACKLOG: Final = 128

_NO_ROOM: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})
"""What accept(2) says while the process or the system has no descriptor or memory left."""


class ConnectionSource(Protocol):
    """What connections come from."""

    async def accept(self) -> trio.SocketStream:
        """The next one."""


async def serve_web(
    app: ASGIApp,
    endpoint: Endpoint,
    *,
    stop: trio.Event,
    tls: ssl.SSLContext | None = None,
    admission: Admission | None = None,
    tuning: ServingTuning | None = None,
    task_status: trio.TaskStatus[Endpoint] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until ``stop`` is set; requests under way then get a few seconds.

    Args:
        app: the ASGI application.
        endpoint: where to listen; port 0 takes any free one.
        stop: set it to stop gracefully (cancelling stops at once).
        tls: with it HTTPS, else plain HTTP.
        admission: the places for connections; else those of `web_admission`.
        tuning: deadlines.
        task_status: told the endpoint with its real port as soon as it listens.

    Raises:
        StateError: the endpoint cannot be listened on.
    """
    tuning = tuning or ServingTuning()
    if admission is None:  # an empty one is false
        admission = web_admission()
    connections = Connections(app, tls=tls, admission=admission, tuning=tuning)
    with await _listen(endpoint, tuning) as listener:
        source = trio.SocketListener(listener)
        async with trio.open_nursery() as closing:
            closing.start_soon(_close_at_last, connections)
            async with trio.open_nursery() as speaking:
                async with trio.open_nursery() as listening:
                    listening.start_soon(accept_connections, source, connections, speaking, tuning)
                    task_status.started(Endpoint(endpoint.host, listener.getsockname()[1]))
                    await stop.wait()
                    listening.cancel_scope.cancel()
                listener.close()
                await connections.stop()
                closing.cancel_scope.deadline = trio.current_time() + tuning.grace
            closing.cancel_scope.cancel()


async def accept_connections(
    listener: ConnectionSource,
    connections: Connections,
    speaking: trio.Nursery,
    tuning: ServingTuning,
) -> None:
    """Take connections for ever, also after the system had no room for one."""
    sparse = Sparse()
    while True:
        try:
            stream = await listener.accept()
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            if sparse.lets(error.errno, trio.current_time()) is not None:
                log.warning("cannot take a connection", why=error.strerror, open=len(connections))
            await trio.sleep(tuning.accept_again)
        else:
            speaking.start_soon(connections.serve, stream)


async def _close_at_last(connections: Connections) -> None:
    """Writes of Hypercorn are shielded from being cancelled: closing the socket ends them."""
    try:
        await trio.sleep_forever()
    finally:
        connections.close()


def web_context(certificate: str, key: str) -> ssl.SSLContext:
    """A TLS 1.3 server context for browsers, from two PEM files."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols(["h2", "http/1.1"])
    context.load_cert_chain(certificate, key)
    return context


async def _listen(endpoint: Endpoint, tuning: ServingTuning) -> trio.socket.SocketType:
    try:
        found = await trio.socket.getaddrinfo(
            endpoint.host, endpoint.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, kind, number, _, address = found[0]
        listener = trio.socket.socket(family, kind, number)
    except OSError as error:
        raise ListenError(endpoint, error) from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if sys.platform == "linux":
            stuck = round(tuning.stuck * 1000)
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, stuck)
        await listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise ListenError(endpoint, error) from error
    return listener
