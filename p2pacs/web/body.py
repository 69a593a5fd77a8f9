"""Bodies of answers that go to the client as they are.

An ASGI server is given a body in messages. Hypercorn (0.18) copies each of them twice and passes it
through seven functions, which takes as long as to send it. A connection of ours
(`p2pacs.web.connections`) says in the state of a request how a body is sent without that; where
there is none (HTTP/2, a test client), it goes by messages.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from starlette.types import Scope, Send

SendBody = Callable[[bytes | memoryview], Awaitable[None]]
"""Sends a piece of a body, which may change as soon as that is done."""

STATE: Final = "p2pacs.send_body"
"""Where in the state of a request it is: what gives a `SendBody`, or None where there is none."""


def body_sender(scope: Scope, send: Send) -> SendBody:
    """How the body of an answer is sent, once its head is; how it ends is for ``send``."""
    offered: Callable[[], SendBody | None] = scope.get("state", {}).get(STATE, lambda: None)
    direct = offered()
    if direct is not None:
        return direct

    async def send_message(piece: bytes | memoryview) -> None:
        await send({"type": "http.response.body", "body": bytes(piece), "more_body": True})

    return send_message
