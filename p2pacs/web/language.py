"""The language of each request: chosen in the browser, or what it accepts (ASGI middleware)."""

from __future__ import annotations

from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from p2pacs.languages import current, speak
from p2pacs.languages.choice import chosen

COOKIE_AGE: Final = 400 * 24 * 3600
"""Seconds that a browser keeps the choice: the most that it may (RFC 6265bis, 5.5)."""


class Language:
    """Lets a request be answered in its language, and says which that was.

    Who is signed in may have chosen another one, which `p2pacs.pages.door` finds.
    """

    def __init__(self, app: ASGIApp, cookie: str) -> None:
        """Wrap an application.

        Args:
            app: the application.
            cookie: its name.
        """
        self._app = app
        self._cookie = cookie

    async def __call__(  # noqa: D102 - the ASGI call
        self, scope: Scope, receive: Receive, send: Send
    ) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        speak(
            chosen(
                cookie=request.cookies.get(self._cookie, ""),
                accepted=request.headers.get("Accept-Language", ""),
            )
        )

        async def send_named(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if headers.get("Content-Type", "").startswith("text/html"):
                    headers["Content-Language"] = current()
                    headers.add_vary_header("Accept-Language, Cookie")
            await send(message)

        await self._app(scope, receive, send_named)
