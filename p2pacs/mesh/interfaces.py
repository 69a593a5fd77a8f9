"""Interfaces of the mesh: the transport, the member directory, and the host that is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import trio
from attrs import frozen

from p2pacs.identity.directory import Directory, MemberRecord, Remote
from p2pacs.ids import VirtualAddress
from p2pacs.units import Endpoint
from p2pacs.wire.messages.messages import Hello, Message, Query, Reply


@frozen
class Channel:
    """An authenticated stream to a member."""

    stream: trio.abc.Stream
    remote: Remote
    """Who is at its other end, and with which key: a directory that has another key ends it."""
    lan: bool
    peer: Endpoint | None = None
    """From where it comes, or where it was dialled; None where nobody knows (memory streams)."""
    local_port: int = 0
    """The port at this end; 0 where nobody knows."""
    met: bool = False
    """Whether a neighbour introduced the two, as none could dial the other."""


class Transport(Protocol):
    """How members are reached: TLS over TCP, or memory streams in a simulation."""

    async def connect(self, member: MemberRecord) -> Channel:
        """Open a channel to a member.

        Raises:
            UnavailableError: it cannot be reached.
            AccessError: it is not who it should be.
        """


class Members(Protocol):
    """The verified directory, and news of it (`p2pacs.identity.book.DirectoryBook`)."""

    directory: Directory

    def subscribe(self, listener: Callable[[Directory], None]) -> Callable[[], None]:
        """Call ``listener`` with every newer directory."""


class Events(Protocol):
    """What the mesh tells the host."""

    def hello(self) -> Hello:
        """The first message of a link."""

    def linked(self, member: VirtualAddress, hello: Hello) -> None:
        """A member is reachable now."""

    def unlinked(self, member: VirtualAddress) -> None:
        """It no longer is; what it was sent or asked is void."""

    def news(self, member: VirtualAddress, message: Message) -> None:
        """A message without answer."""

    def drained(self, member: VirtualAddress) -> None:
        """All that was to be sent to a member is with the transport."""

    async def query(self, member: VirtualAddress, query: Query) -> Reply:
        """A question."""
