"""Connections of the mesh: a link together with the (paced) stream below it."""

from __future__ import annotations

from typing import Protocol

import trio

from p2pacs.errors import LinkClosedError, P2PacsError, RemoteError
from p2pacs.ids import VirtualAddress
from p2pacs.line.paced import PacedStream
from p2pacs.mesh.interfaces import Channel, Events
from p2pacs.wire.link.link import Link
from p2pacs.wire.messages.messages import Block, Hello, Message, Query, Reply

BLOCK_ENVELOPE = 48
"""Frame length, message number, study, number, offset and size of a `Block`, at most."""


class ConnectionOwner(Protocol):
    """Who hears that a connection opened and closed (`p2pacs.mesh.mesh.Mesh`)."""

    def opened(self, connection: Connection, hello: Hello) -> None:
        """The other side's `Hello` came."""

    def closed(self, connection: Connection, error: P2PacsError | None) -> None:
        """A link is closed; None if this side closed it without an error."""


class Connection:
    """A link of the mesh: its handler, and its sending side."""

    def __init__(
        self,
        owner: ConnectionOwner,
        events: Events,
        member: VirtualAddress,
        channel: Channel,
        *,
        dialled: bool,
    ) -> None:
        """A link that is not open yet.

        Args:
            owner: Hears that it opened and closed.
            events: Hears what the other side says.
            member: Who is at the other end.
            channel: What it goes over.
            dialled: Whether this side dialled.
        """
        self.member = member
        self.dialled = dialled
        self.opened_at = trio.current_time()
        self._owner = owner
        self._events = events
        self.peer, self.local_port = channel.peer, channel.local_port
        """As `Channel`'s."""
        self.met = channel.met
        """As `Channel`'s."""
        stream = channel.stream
        self._paced = stream if isinstance(stream, PacedStream) else None
        self._link: Link | None = None
        self._refused: P2PacsError | None = None

    @property
    def paced(self) -> bool:
        """Whether what goes out waits for the uplink's budget."""
        return self._paced is not None and self._paced.uplink

    @property
    def lan(self) -> bool:
        """Whether the other side is on this side's local network."""
        return self._link is not None and self._link.lan

    @property
    def on_line(self) -> bool:
        """Whether it goes over the host's line, as far as that is known."""
        return self._paced is not None

    def send(self, message: Message) -> None:
        """News or control: goes out ahead of blocks."""
        if self._link is not None:
            self._link.send(message)

    @property
    def idle(self) -> bool:
        """Whether a block would go to the transport at once."""
        return self._link is not None and self._link.idle

    def send_block(self, block: Block) -> None:
        """Charge a block to the uplink and send it; the link is `idle`."""
        if self._link is not None:
            if self._paced is not None:
                self._paced.prepay(len(block.data) + BLOCK_ENVELOPE)
            self._link.send_block(block)

    async def send_blocks(self, *blocks: Block) -> None:
        """Hand blocks to the transport.

        Raises:
            LinkClosedError: the link closed.
        """
        if self._link is None:
            raise LinkClosedError("the link is not open")
        await self._link.send_blocks(*blocks)

    async def call(self, query: Query, *, timeout: float) -> Reply:  # noqa: ASYNC109
        """Ask the other side."""
        if self._link is None:
            raise LinkClosedError("the link is not open")
        return await self._link.call(query, timeout=timeout)

    def close(self, error: P2PacsError | None) -> None:
        """Close the link; before it is open, it closes as soon as it is."""
        if self._link is None:
            self._refused = error or LinkClosedError("closed")
        else:
            self._link.close(error)

    # ------------------------------------------------------------ the link's handler

    def opened(self, link: Link, hello: Hello) -> None:
        """The other side's `Hello` came."""
        self._link = link
        self.opened_at = trio.current_time()
        if self._refused is not None:
            link.close(self._refused)
        else:
            self._owner.opened(self, hello)

    def closed(self, link: Link, error: P2PacsError | None) -> None:
        """The link closed."""
        self._owner.closed(self, error)

    def news(self, link: Link, message: Message) -> None:
        """A message without answer; what it may not say closes the link."""
        try:
            self._events.news(self.member, message)
        except RemoteError as error:
            link.close(error)

    def drained(self, link: Link) -> None:
        """The next block may come."""
        self._events.drained(self.member)

    async def query(self, link: Link, query: Query) -> Reply:
        """A question."""
        return await self._events.query(self.member, query)
