"""Who may ask: HTTP says no name as DIMSE does, so it goes by address."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from p2pacs.errors import ForbiddenError
from p2pacs.web.answers import answer_to, json_answer
from p2pacs.web.large_bodies import drain

STORES: Final = "POST"
"""The method of who stores; all others read."""

_MAY_NOT_READ: Final = (
    "this address is not among those that may read here: add it to gateway.dicomweb_clients in "
    "peer.toml, or to gateway.destinations if it is a workstation"
)
_MAY_NOT_STORE: Final = (
    "this address is not among those that may store here: add it to sending.dicomweb_clients in "
    "peer.toml"
)


class AllowedClients:
    """Refuses (403) what comes from another address."""

    def __init__(
        self,
        app: ASGIApp,
        allowed: Callable[[str], bool],
        may_store: Callable[[str], bool] | None = None,
    ) -> None:
        """Wrap an application.

        Args:
            app: the application.
            allowed: told the address of a client.
            may_store: the same of who stores; None: who may read may try.
        """
        self._app = app
        self._allowed = allowed
        self._may_store = may_store

    async def __call__(  # noqa: D102 - the ASGI call
        self, scope: Scope, receive: Receive, send: Send
    ) -> None:
        if scope["type"] == "http":
            address = scope["client"][0] if scope.get("client") else ""
            allowed, refused = self._allowed, _MAY_NOT_READ
            if scope["method"] == STORES and self._may_store is not None:
                allowed, refused = self._may_store, _MAY_NOT_STORE
            if not allowed(address):
                if scope["method"] == STORES:
                    await drain(Request(scope, receive))
                answer = json_answer(Request(scope), answer_to(ForbiddenError(refused)))
                await answer(scope, receive, send)
                return
        await self._app(scope, receive, send)
