"""Queries of ours on one link that wait for their replies."""

from __future__ import annotations

import trio
from attrs import define, field

from p2pacs.errors import DeadlineError, LinkClosedError
from p2pacs.wire.messages.failures import from_wire
from p2pacs.wire.messages.messages import QueryFailure, Reply


@define(eq=False)
class _Waiter:
    event: trio.Event = field(factory=trio.Event)
    reply: Reply | None = None


class Calls:
    """The callers that wait, by the id of their query."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._waiters: dict[int, _Waiter] = {}

    async def wait(self, number: int, timeout: float) -> Reply:  # noqa: ASYNC109
        """The reply to the query with this id.

        Raises:
            P2PacsError: what the other side failed with.
            LinkClosedError: the link closed.
            DeadlineError: no answer in time.
        """
        waiter = self._waiters[number] = _Waiter()
        try:
            with trio.move_on_after(timeout):
                await waiter.event.wait()
        finally:
            del self._waiters[number]
        if waiter.reply is None:
            if waiter.event.is_set():
                raise LinkClosedError(f"the link to {self._name} closed before it answered")
            raise DeadlineError(f"{self._name} did not answer within {timeout:g} s")
        if isinstance(waiter.reply, QueryFailure):
            raise from_wire(waiter.reply.code, waiter.reply.text)
        return waiter.reply

    def answered(self, reply: Reply) -> None:
        """Wake the caller; a reply whose caller has given up means nothing."""
        if waiter := self._waiters.get(reply.id):
            waiter.reply = reply
            waiter.event.set()

    def drop(self) -> None:
        """The link is closed: nobody waits any longer."""
        for waiter in self._waiters.values():
            waiter.event.set()
