"""A link between two members: the only place where messages meet a stream.

One task sends, one receives, one watches for silence; every query of the other
side is answered in a task of its own. A cancelled send leaves a stream torn in
the middle of a record, so after one the stream is only ever dropped.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Protocol

import structlog
import trio

from p2pacs import limits
from p2pacs.errors import (
    BusyError,
    DeadlineError,
    LinkClosedError,
    P2PacsError,
)
from p2pacs.ids import VirtualAddress
from p2pacs.wire.channel import deadlines
from p2pacs.wire.channel.broken import explain
from p2pacs.wire.link.answers import QueryAnswers
from p2pacs.wire.link.calls import Calls
from p2pacs.wire.link.keep_alive import KeepAlive
from p2pacs.wire.link.outbox import Outbox
from p2pacs.wire.link.session import LinkSession
from p2pacs.wire.link.writer import LinkWriter
from p2pacs.wire.messages.failures import failure, from_wire
from p2pacs.wire.messages.messages import Block, Hello, Message, Query, QueryFailure, Reply

log = structlog.get_logger(__name__)


class LinkHandler(Protocol):
    """Who hears what a link says. `closed` follows every `opened`, exactly once."""

    def opened(self, link: Link, hello: Hello) -> None:
        """The other side has said `Hello`."""

    def closed(self, link: Link, error: P2PacsError | None) -> None:
        """The link is no more; None if this side closed it without an error."""

    def news(self, link: Link, message: Message) -> None:
        """A message without answer; in order, quick. A `P2PacsError` closes the link."""

    def drained(self, link: Link) -> None:
        """All that was to be sent is with the transport: the next block may come."""

    async def query(self, link: Link, query: Query) -> Reply:
        """The answer, under the id of the query. A `P2PacsError` becomes a `QueryFailure`."""


class Link:
    """One end of a link. Made by `run_link` only."""

    def __init__(
        self,
        stream: trio.abc.Stream,
        handler: LinkHandler,
        *,
        remote: VirtualAddress,
        name: str,
        dialled: bool,
        lan: bool,
    ) -> None:
        self.remote = remote
        self.name = name
        self.lan = lan
        self.dialled = dialled
        self.bytes_received = 0
        self._stream = stream
        self._writer = LinkWriter(stream)
        self._handler = handler
        self._session = LinkSession()
        self._outbox = Outbox()
        self._calls = Calls(name)
        self._answers = QueryAnswers(
            name, partial(handler.query, self), self.send, lambda: self._outbox.control_bytes
        )
        self._keep_alive = KeepAlive(
            name, lambda query, seconds: self.call(query, timeout=seconds), self._end
        )
        self._sending = trio.CancelScope()
        self._patience = deadlines.SEND
        self._all = trio.CancelScope()
        self._closing = False
        self._error: P2PacsError | None = None

    def __repr__(self) -> str:
        return f"<Link to {self.name}>"

    @property
    def bytes_sent(self) -> int:
        """Of whole batches and blocks, as the transport took them."""
        return self._writer.bytes_sent

    @property
    def closed(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._closing

    # ------------------------------------------------------------ for everybody

    def send(self, message: Message) -> None:
        """Send news, ahead of all blocks. Never waits; on a closed link nothing happens.

        Raises:
            ProtocolError: the message may not travel (too long, a field out of bounds).
        """
        if not self._closing:
            self._enqueue(self._session.send(message))

    @property
    def idle(self) -> bool:
        """Whether a block would go to the transport at once."""
        waits = self._writer.torn or self._writer.unsent or self._closing
        return self._outbox.empty and not waits

    def send_block(self, block: Block) -> None:
        """Send a block on a link that is `idle`.

        If it is not `idle` afterwards, `LinkHandler.drained` tells when it is again. On a closed
        link nothing happens.

        Raises:
            ProtocolError: the block may not travel.
        """
        if self._closing:
            return
        frame = self._session.send(block)
        more = block.offset + len(block.data) < block.size
        try:
            if not self._writer.write_now(frame, more=more):
                self._outbox.put_block(frame)
            elif self._writer.unsent:
                self._outbox.wake()
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            self._end(explain(error, self.name))

    async def send_blocks(self, *blocks: Block) -> None:
        """Send blocks together; returns when the transport takes them.

        Cancelled before, none is sent.

        Raises:
            LinkClosedError: the link closed.
            ProtocolError: a block may not travel.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        if self._closing:
            raise LinkClosedError(f"the link to {self.name} is closed")
        frames = b"".join([self._session.send(block) for block in blocks])
        if not await self._outbox.put_blocks(frames):
            raise LinkClosedError(f"the link to {self.name} was closed")

    async def call(self, query: Query, *, timeout: float) -> Reply:  # noqa: ASYNC109
        """Ask the other side; its id is filled in.

        Args:
            query: the question.
            timeout: seconds to wait for the answer.

        Raises:
            P2PacsError: what the other side failed with.
            LinkClosedError: the link closed.
            DeadlineError: no answer in time.
            BusyError: too many questions are open.
        """
        if self._closing:
            raise LinkClosedError(f"the link to {self.name} is closed")
        number, frame = self._session.ask(query)
        self._enqueue(frame)
        return await self._calls.wait(number, timeout)

    def close(self, error: P2PacsError | None) -> None:
        """Say why (if there is an error) and close, within `deadlines.FAREWELL`."""
        if self._closing:
            return
        self._closing = True
        self._error = error
        if error is not None:
            self._outbox.put(self._session.send(failure(0, error)))
        self._outbox.drop_blocks()
        limit = trio.current_time() + deadlines.FAREWELL
        self._sending.deadline = min(self._sending.deadline, limit)
        self._outbox.wake()

    def _end(self, error: P2PacsError) -> None:
        """Close without a word: nothing can be said, or the other side has said it."""
        if not self._closing:
            self._closing = True
            self._error = error
        self._outbox.drop_blocks()
        self._all.cancel()

    # ------------------------------------------------------------ the sending task

    def _enqueue(self, frame: bytes) -> None:
        if self._closing:
            return
        self._outbox.put(frame)
        if self._outbox.control_bytes > limits.CONTROL_QUEUE_BYTES:
            self._end(BusyError(f"{self.name} does not read what is sent to it"))

    async def _send_all(self) -> None:
        with self._sending:  # one for all: a scope for each batch costs as much as sending it
            while not (self._closing and self._outbox.empty and not self._writer.unsent):
                if (batch := self._outbox.take()) or self._writer.unsent:
                    await self._send(batch)
                    if self.idle:
                        self._handler.drained(self)
                else:
                    await self._outbox.wait()
                if self._writer.torn:
                    return
        if self._writer.torn:
            self._end(DeadlineError(f"{self.name} took nothing for {self._patience:g} s"))
        else:
            await self._linger()

    async def _linger(self) -> None:
        """Give the other side time to read the last word.

        Closing a socket while bytes wait there unread would reset the connection, and
        the last word might be lost with it; the receiving task goes on until then.
        """
        if self._error is not None:
            await trio.sleep(deadlines.FAREWELL)
        self._all.cancel()

    async def _send(self, batch: bytes) -> None:
        self._patience = deadlines.FAREWELL if self._closing else deadlines.SEND
        self._sending.deadline = trio.current_time() + self._patience
        try:
            await self._writer.write(batch)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            self._end(explain(error, self.name))
        else:
            self._sending.deadline = math.inf

    # ------------------------------------------------------------ the receiving task

    async def _receive_all(self, nursery: trio.Nursery) -> None:
        try:
            try:
                await self._receive(nursery)
            except P2PacsError as error:
                self.close(error)
                while await self._stream.receive_some():
                    pass  # until it has read our last word: see _linger
            self._end(LinkClosedError(f"{self.name} closed the link{self._hint}"))
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            self._end(explain(error, self.name))

    @property
    def _hint(self) -> str:
        # a server that refuses our certificate does so after our handshake is over
        return (
            ""
            if self._keep_alive.greeted.is_set()
            else " before it said Hello; it may not take this side for a member"
        )

    async def _receive(self, nursery: trio.Nursery) -> None:
        while data := await self._stream.receive_some():
            self.bytes_received += len(data)
            self._keep_alive.heard()
            for message in self._session.receive(bytes(data)):
                self._dispatch(message, nursery)
            for frame in self._session.automatic():
                self._enqueue(frame)

    def _dispatch(self, message: Message, nursery: trio.Nursery) -> None:
        match message:
            case QueryFailure(id=0):
                self._end(from_wire(message.code, message.text))
            case _ if self._closing:
                pass  # said before it heard our last word
            case Hello():
                self._keep_alive.greeted.set()
                self._handler.opened(self, message)
            case Reply():
                self._calls.answered(message)
            case Query():
                nursery.start_soon(self._answers.answer, message)
            case _:
                self._handler.news(self, message)

    # ------------------------------------------------------------ the whole

    async def run(self, hello: Hello) -> P2PacsError | None:
        """Say `Hello`, then do all that a link does until it is closed; why it was."""
        self._enqueue(self._session.send(hello))
        try:
            with self._all:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._send_all)
                    nursery.start_soon(self._receive_all, nursery)
                    nursery.start_soon(self._keep_alive.run)
        finally:
            self._finish()
            await self._writer.close()
        return self._error

    def _finish(self) -> None:
        self._closing = True
        self._outbox.drop_blocks()
        self._calls.drop()
        if self._keep_alive.greeted.is_set():
            self._handler.closed(self, self._error)


async def run_link(
    stream: trio.abc.Stream,
    *,
    remote: VirtualAddress,
    hello: Hello,
    handler: LinkHandler,
    dialled: bool,
    lan: bool,
    name: str = "",
) -> P2PacsError | None:
    """Run one end of a link until it is closed; the stream is closed with it.

    Args:
        stream: an authenticated channel; tests pass memory streams.
        remote: who is at the other end.
        hello: our first message.
        handler: hears what the link says.
        dialled: whether this side dialled.
        lan: whether the other side is on this side's local network.
        name: the member's name, for logs and messages; its address if empty.

    Returns:
        Why the link closed; None if this side closed it without an error. If `Hello` never
        came, the handler heard nothing and this is all there is to know.
    """
    link = Link(stream, handler, remote=remote, name=name or str(remote), dialled=dialled, lan=lan)
    return await link.run(hello)
