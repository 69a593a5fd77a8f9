"""ASGI middleware that every web side needs: known hosts, security headers, a cap on bodies."""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import Final

import trio
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from p2pacs.languages import _
from p2pacs.web.answers import Answer, answer_to

PAGE_POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self';"
    " frame-ancestors 'none'; base-uri 'none'"
)
"""Content Security Policy of server-rendered pages: no scripts at all, nothing from elsewhere."""

LIVE_POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self' blob: data:; script-src 'self';"
    " connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
"""The same of pages that change by themselves: scripts out of our own files, and what they fetch
from here; nothing inline, nothing from elsewhere."""

API_POLICY: Final = "default-src 'none'; frame-ancestors 'none'"
"""Content Security Policy of an API: its answers are never a page."""

_HEADERS: Final[Mapping[str, str]] = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


_HOST: Final = re.compile(
    r"(?:\[(?P<v6>[0-9a-f:.]*:[0-9a-f:.]*)\]|(?P<name>[^:\[\]]*))(?::[0-9]*)?"
)
"""A host and its port; a scope (``%eth0``) never stands in a URL of a browser."""


BODY_SECONDS: Final = 30.0
"""For a whole body, from the head on: forms and queries are a few kilobytes."""


class SecurityHeaders:
    """Adds the security headers to every answer; pages are kept out of caches.

    An answer that brings a Content Security Policy of its own keeps it.
    """

    def __init__(self, app: ASGIApp, policy: str = PAGE_POLICY) -> None:
        self._app = app
        self._policy = policy

    async def __call__(  # noqa: D102 - the ASGI call
        self, scope: Scope, receive: Receive, send: Send
    ) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers.setdefault("Content-Security-Policy", self._policy)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, receive, send_guarded)


class KnownHosts:
    """Refuses (421) a request whose Host header names a host that is not ours, and WebSockets.

    Otherwise a page of ``evil.example``, whose name its owner lets point to this machine (DNS
    rebinding), would be of one origin with ours in the browser of somebody in the LAN. A bare
    address cannot be rebound, so any is taken: of this machine, a tunnel or a port forward.
    """

    def __init__(
        self,
        app: ASGIApp,
        render: Callable[[Request, Answer], Response],
        names: Collection[str] = (),
        setting: str = "",
    ) -> None:
        """Wrap an application.

        Args:
            app: the application.
            render: makes the answer to who is refused.
            names: host names that are ours, beside ``localhost``.
            setting: where another one can be named, for the answer.
        """
        self._app = app
        self._render = render
        self._names = {name.lower() for name in ("localhost", *names)}
        self._setting = setting

    async def __call__(  # noqa: D102 - the ASGI call
        self, scope: Scope, receive: Receive, send: Send
    ) -> None:
        if scope["type"] == "websocket":  # nothing of ours speaks it
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] == "http":
            hosts = [value for name, value in scope["headers"] if name == b"host"]
            if len(hosts) != 1 or not self._is_ours(host_of(hosts[0])):
                error = HTTPException(421, self._unknown())
                response = self._render(Request(scope), answer_to(error))
                await response(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _unknown(self) -> str:
        said = _("This server is not known by the name in the address.")
        if not self._setting:
            return said
        hint = _("If it is a name of this server, add it to %(setting)s.", setting=self._setting)
        return f"{said} {hint}"

    def _is_ours(self, host: str) -> bool:
        return host in self._names or _is_address(host)


def host_of(header: bytes) -> str:
    """The host in a Host header (RFC 9110, 7.2), in lower case and without the port.

    Empty if it is malformed: an IPv6 address alone stands in brackets, and after a host there is a
    port or nothing (``[::1]evil.example`` is nobody's name).
    """
    text = header.decode("latin-1").strip().lower()
    if (found := _HOST.fullmatch(text)) is None:
        return ""
    return found["v6"] if found["v6"] is not None else found["name"].removesuffix(".")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _nothing(_scope: Scope) -> bool:
    return False


class BodyLimit:
    """Refuses a request whose body is longer than ``limit`` bytes (413) or dawdles (408)."""

    def __init__(
        self,
        app: ASGIApp,
        limit: int = 64 * 1024,
        seconds: float = BODY_SECONDS,
        larger: Mapping[str, int] = MappingProxyType({}),
        streamed: Callable[[Scope], bool] = _nothing,
    ) -> None:
        """Wrap an application.

        Args:
            app: the application.
            limit: bytes of a body.
            seconds: for a whole body.
            larger: by path, another limit where files are sent.
            streamed: which requests are let through, as who reads them bounds them
                (`p2pacs.web.large_bodies`).
        """
        self._app = app
        self._limit = limit
        self._seconds = seconds
        self._larger = larger
        self._streamed = streamed

    async def __call__(  # noqa: D102 - the ASGI call
        self, scope: Scope, receive: Receive, send: Send
    ) -> None:
        if scope["type"] != "http" or self._streamed(scope):
            await self._app(scope, receive, send)
            return
        left = limit = self._larger.get(scope["path"], self._limit)
        seconds = self._seconds

        async def receive_limited() -> Message:
            # Only what the client takes counts: an application that has its answer after a minute,
            # and then looks whether the client is still there, is told of the body as it came.
            nonlocal left, seconds
            begin = trio.current_time()
            with trio.move_on_after(seconds) as waiting:
                message = await receive()
            seconds -= trio.current_time() - begin
            if waiting.cancelled_caught:
                raise HTTPException(408, _("The request did not come whole in time."))
            left -= len(message.get("body", b""))
            if left < 0:
                said = _("The request is longer than %(count)s bytes.", count=limit)
                raise HTTPException(413, said)
            if not message.get("more_body"):
                seconds = math.inf  # what comes after the body is the client's going away
            return message

        await self._app(scope, receive_limited, send)
