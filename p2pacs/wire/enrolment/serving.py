"""The broker's side: shows the authority to everybody, and answers one query."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog
import trio

from p2pacs import limits
from p2pacs.errors import (
    P2PacsError,
)
from p2pacs.process.sparse_log import Sparse
from p2pacs.wire.channel import deadlines
from p2pacs.wire.enrolment.exchange import Exchange
from p2pacs.wire.messages.failures import failure
from p2pacs.wire.messages.messages import (
    AuthorityCertificate,
    Enrolled,
    EnrolQuery,
)

log = structlog.get_logger(__name__)

EnrolHandler = Callable[[EnrolQuery], Awaitable[Enrolled]]


async def serve_enrolment(
    stream: trio.abc.Stream, authority: bytes, handler: EnrolHandler, told: Sparse | None = None
) -> None:
    """Serve one channel that came without a certificate, and close it.

    Args:
        stream: from `channel.accept` with no remote.
        authority: the authority's certificate (DER).
        handler: checks the secret, issues the certificate, enters the member; a `P2PacsError`
            is told to the newcomer.
        told: what was logged lately, so that the same is not logged each time.
    """
    told = Sparse() if told is None else told
    exchange = Exchange(stream, limits.HANDSHAKE_FRAME_BYTES)
    try:
        with trio.move_on_after(deadlines.ENROL):
            await exchange.send(AuthorityCertificate(authority))
            await _serve(exchange, handler, told)
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        log.debug("enrolment broke off")
    finally:
        with trio.move_on_after(deadlines.FAREWELL, shield=True):
            await stream.aclose()


async def _serve(exchange: Exchange, handler: EnrolHandler, told: Sparse) -> None:
    number = 0
    try:
        query = await exchange.receive(EnrolQuery)
        if query is None:
            return  # it came for the authority's certificate
        number = query.id
        # The token is used up when the handler is done: whoever else comes, its owner is told.
        with trio.move_on_after(deadlines.ENROL, shield=True):
            await exchange.send(await handler(query))
    except P2PacsError as error:
        now = trio.current_time()
        told.warn(log, "enrolment refused", type(error).__name__, now, why=str(error))
        await exchange.send(failure(number, error))
