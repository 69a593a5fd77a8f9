"""Serve an ASGI application with Hypercorn on trio: known port, TLS, graceful stop."""

from __future__ import annotations

import logging
import socket
import ssl
import sys

import trio
from hypercorn.config import Config, Sockets
from hypercorn.trio import serve
from starlette.types import ASGIApp

from p2pacs.errors import StateError
from p2pacs.units import Endpoint

_GRACE = 3.0
"""Seconds that requests under way get when the server stops."""

_STUCK = 20_000
"""Milliseconds after which a client that takes no bytes is cut off: Hypercorn shields its
writes from cancellation, so such a client would keep the process from ending."""


class _Bound(Config):
    """Hypercorn's configuration with a socket that is already bound."""

    accesslog = None
    errorlog = logging.getLogger("hypercorn.error")
    graceful_timeout = _GRACE
    include_server_header = False
    keep_alive_timeout = 30
    ssl_handshake_timeout = 10

    def __init__(self, listener: socket.socket, context: ssl.SSLContext | None) -> None:
        self._listener = listener
        self._context = context

    def create_sockets(self) -> Sockets:
        return Sockets(
            [self._listener] if self._context else [], [] if self._context else [self._listener], []
        )

    def create_ssl_context(self) -> ssl.SSLContext | None:
        return self._context


async def serve_web(
    app: ASGIApp,
    endpoint: Endpoint,
    *,
    stop: trio.Event,
    tls: ssl.SSLContext | None = None,
    task_status: trio.TaskStatus[Endpoint] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until ``stop`` is set; requests under way then get a few seconds.

    Args:
        app: the ASGI application.
        endpoint: where to listen; port 0 takes any free one.
        stop: set it to stop gracefully (cancelling stops at once).
        tls: with it HTTPS, else plain HTTP.
        task_status: told the endpoint with its real port as soon as it listens.

    Raises:
        StateError: the endpoint cannot be listened on.
    """
    listener = await _listen(endpoint)
    with listener:
        config = _Bound(listener, tls)
        port = listener.getsockname()[1]
        async with trio.open_nursery() as nursery:

            async def run(*, task_status: trio.TaskStatus[list[str]]) -> None:
                await serve(
                    app,  # type: ignore[arg-type]
                    config,
                    shutdown_trigger=stop.wait,
                    mode="asgi",
                    task_status=task_status,
                )

            await nursery.start(run)
            task_status.started(Endpoint(endpoint.host, port))


def web_context(certificate: str, key: str) -> ssl.SSLContext:
    """A TLS 1.3 server context for browsers, from two PEM files."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols(["h2", "http/1.1"])
    context.load_cert_chain(certificate, key)
    return context


async def _listen(endpoint: Endpoint) -> socket.socket:
    try:
        found = await trio.socket.getaddrinfo(
            endpoint.host, endpoint.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, kind, number, _, address = found[0]
        listener = socket.socket(family, kind, number)
    except OSError as error:
        raise StateError(f"cannot listen on {endpoint}: {error.strerror}") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if sys.platform == "linux":
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _STUCK)
        listener.bind(address)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise StateError(
            f"cannot listen on {endpoint}: {error.strerror}; choose another port, or stop"
            " what uses it"
        ) from error
    return listener
