"""Queries of the other side of one link: each is answered in time, and only so many a second."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable

import structlog
import trio
from attrs import evolve

from p2pacs import limits
from p2pacs.errors import BusyError, DeadlineError, P2PacsError
from p2pacs.wire.channel import deadlines
from p2pacs.wire.messages.failures import failure
from p2pacs.wire.messages.messages import Query, Reply

log = structlog.get_logger(__name__)


class QueryAnswers:
    """What is answered on one link (`p2pacs.wire.link.calls` is the other direction)."""

    def __init__(
        self,
        name: str,
        handle: Callable[[Query], Awaitable[Reply]],
        send: Callable[[Reply], None],
        unread: Callable[[], int],
    ) -> None:
        """Nothing is asked yet.

        Args:
            name: Of the other side, for the log.
            handle: Gives the answer; a `P2PacsError` becomes a `QueryFailure`.
            send: Sends it; raises a `ProtocolError` if it may not travel.
            unread: Bytes that wait to be read by the other side.
        """
        self._name = name
        self._handle = handle
        self._send = send
        self._unread = unread
        self._answered_at = -math.inf

    async def answer(self, query: Query) -> None:
        """Answer one query, with what went wrong if nothing else."""
        error: P2PacsError
        try:
            with trio.fail_after(deadlines.QUERY):
                await self._turn()
                reply = await self._handle(query)
            self._reply(evolve(reply, id=query.id))
        except trio.TooSlowError:
            error = DeadlineError("no answer in time; ask again later")
        except P2PacsError as raised:
            error = raised
        else:
            return
        kind = type(query).__name__
        log.info("query failed", member=self._name, kind=kind, error=type(error).__name__)
        self._reply(failure(query.id, error))

    async def _turn(self) -> None:
        """Wait while more is asked than may be."""
        earliest = trio.current_time() - limits.QUERY_BURST / limits.QUERY_RATE
        self._answered_at = max(self._answered_at + 1 / limits.QUERY_RATE, earliest)
        if self._answered_at > trio.current_time():
            await trio.sleep_until(self._answered_at)

    def _reply(self, reply: Reply) -> None:
        """Who does not read its answers is told to ask again."""
        if self._unread() > limits.ANSWER_QUEUE_BYTES:
            reply = failure(reply.id, BusyError("answers wait unread here; ask again later"))
        self._send(reply)
