"""Who may ask: HTTP says no name as DIMSE does, so it goes by address."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from p2pacs.errors import ForbiddenError
from p2pacs.web.answers import answer_to, json_answer

_REFUSED: Final = (
    "this address is not among those that may read here: add it to gateway.dicomweb_clients in "
    "peer.toml, or to gateway.destinations if it is a workstation"
)


class AllowedClients:
    """Refuses (403) what comes from another address."""

    def __init__(self, app: ASGIApp, allowed: Callable[[str], bool]) -> None:
        """Wrap an application.

        Args:
            app: the application.
            allowed: told the address of a client.
        """
        self._app = app
        self._allowed = allowed

    async def __call__(  # noqa: D102 - the ASGI call
        self, scope: Scope, receive: Receive, send: Send
    ) -> None:
        if scope["type"] == "http":
            address = scope["client"][0] if scope.get("client") else ""
            if not self._allowed(address):
                answer = json_answer(Request(scope), answer_to(ForbiddenError(_REFUSED)))
                await answer(scope, receive, send)
                return
        await self._app(scope, receive, send)
