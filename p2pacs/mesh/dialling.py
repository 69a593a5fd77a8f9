"""Reaching members over TLS: all their endpoints at once, the first handshake wins."""

from __future__ import annotations

import ipaddress
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol, cast

import structlog
import trio

from p2pacs.errors import AccessError, NoSourceError, P2PacsError, UnavailableError
from p2pacs.identity.book import DirectoryBook
from p2pacs.identity.directory import MemberRecord, Remote
from p2pacs.identity.node import NodeIdentity
from p2pacs.identity.tls import Stream
from p2pacs.line.gather import Gatherer
from p2pacs.line.line import Line
from p2pacs.line.paced import PacedStream
from p2pacs.line.pacer import Pacer
from p2pacs.line.readable import READS_TOGETHER
from p2pacs.mesh.interfaces import Channel
from p2pacs.units import Endpoint
from p2pacs.wire.channel import channel
from p2pacs.wire.channel.bulk import BulkStream

SILENCE_SECONDS: Final = 20.0
"""Data under way that is not acknowledged for so long: the line is down or the address gone."""

log = structlog.get_logger(__name__)


class OpenTcp(Protocol):
    """Opens a TCP connection (`p2pacs.wire.channel.channel.open_tcp`)."""

    async def __call__(self, endpoint: Endpoint, *, source: str | None = None) -> trio.SocketStream:
        """To an endpoint, from an address if there is one."""


Meet = Callable[[MemberRecord], Awaitable[Channel]]
"""Reaches a member that has no endpoint, or answers at none; raises `UnavailableError`."""


class TlsTransport:
    """Opens channels; satisfies `p2pacs.mesh.interfaces.Transport`."""

    def __init__(
        self,
        identity: NodeIdentity,
        book: DirectoryBook,
        line: Line,
        listen: Sequence[Endpoint],
    ) -> None:
        self._identity = identity
        self._book = book
        self._line = line
        self._hosts = [endpoint.host for endpoint in listen if _is_specific(endpoint.host)]
        self._up: Pacer | None = None
        self._down: Pacer | None = None
        together = READS_TOGETHER and line.gather > 0
        self._gatherer = Gatherer(line.gather) if together else None
        self.open_tcp: OpenTcp = channel.open_tcp
        """How connections are opened; one port may be held for all of them (`p2pacs.punch`)."""
        self.meet: Meet | None = None
        """Reaches members that cannot be dialled."""

    async def run(self) -> None:
        """Read paced channels until cancelled."""
        if self._gatherer is not None:
            await self._gatherer.run()

    def close(self) -> None:
        """No channel is read any more."""
        if self._gatherer is not None:
            self._gatherer.close()

    def pace(self, up: Pacer | None, down: Pacer | None) -> None:
        """The budgets of the host's line."""
        self._up, self._down = up, down

    async def connect(self, member: MemberRecord) -> Channel:
        """Try all endpoints of a member at once; the first finished handshake wins.

        A member that none of them leads to is met by way of a neighbour.

        Raises:
            NoSourceError: the member has no endpoint (it dials out only), and was not met.
            P2PacsError: why the last endpoint could not be used.
        """
        if not member.endpoints and self.meet is not None:
            return await self.meet(member)
        if not member.endpoints:
            raise NoSourceError(f"{member.name} cannot be dialled; it has to dial itself")
        try:
            return await self._dial(member)
        except UnavailableError as error:
            if self.meet is None:
                raise
            try:
                return await self.meet(member)
            except UnavailableError as other:
                raise error from other

    async def _dial(self, member: MemberRecord) -> Channel:
        race = _Race()
        async with trio.open_nursery() as nursery:
            for text in member.endpoints:
                nursery.start_soon(self._try, text, member, race, nursery.cancel_scope)
        if race.winner is not None:
            return race.winner
        raise race.error or NoSourceError(f"{member.name} cannot be reached")

    async def _try(
        self, text: str, member: MemberRecord, race: _Race, others: trio.CancelScope
    ) -> None:
        """One endpoint; its failure is its own."""
        try:
            endpoint = Endpoint.parse(text)
            tcp = await self.open_tcp(endpoint, source=self._source(endpoint.host))
            stream, remote = await channel.secure(tcp, endpoint, self._identity, member.address)
        except P2PacsError as error:
            race.failed(error)
            return
        try:
            self._book.directory.check(remote)
        except AccessError as error:
            race.failed(error)
            await trio.aclose_forcefully(stream)
            return
        if race.winner is not None:
            await trio.aclose_forcefully(stream)
            return
        race.winner = self.opened(stream, remote, endpoint.host)
        others.cancel()

    def opened(
        self,
        stream: Stream,
        remote: Remote,
        host: str,
        *,
        lan: bool | None = None,
        met: bool = False,
    ) -> Channel:
        """A channel as the mesh uses it: paced, unless the other end is on the LAN.

        Args:
            stream: after its handshake.
            remote: who is at its other end.
            host: where it was reached or came from, if the socket does not say.
            lan: whether it is on the LAN; None: as the settings say.
            met: whether a neighbour introduced the two.
        """
        sock = channel.socket_of(stream)
        notice_silence(sock)
        peer, port = _ends(sock, host)
        near = self._line.is_lan(peer.host) if lan is None else lan
        if near or (self._up is None and self._down is None):
            return Channel(BulkStream(stream), remote, near, peer, port, met)
        if self._gatherer is not None:  # a record of a slow line comes in many segments
            gathering = self._gatherer.stream(stream.transport_stream)
            cast("trio.SSLStream[trio.abc.Stream]", stream).transport_stream = gathering
        paced = PacedStream(BulkStream(stream), self._up, self._down, sock)
        return Channel(paced, remote, near, peer, port, met)

    def _source(self, host: str) -> str | None:
        """The local address to dial from, so that both ends see the right network."""
        if not self._hosts:
            return None
        near = [one for one in self._hosts if self._same_side(one, host)]
        return (near or self._hosts)[0]

    def _same_side(self, one: str, other: str) -> bool:
        try:
            return self._line.is_named_lan(one) == self._line.is_named_lan(other)
        except ValueError:  # a host name
            return False


class _Race:
    """Dials to all endpoints of one member at once; the first finished handshake wins."""

    def __init__(self) -> None:
        self.winner: Channel | None = None
        self.error: P2PacsError | None = None

    def failed(self, error: P2PacsError) -> None:
        """Keep the most telling error: who answers wrongly before who does not answer."""
        if self.error is None or isinstance(error, AccessError):
            self.error = error


def notice_silence(sock: trio.socket.SocketType) -> None:
    """Let the kernel end a connection that acknowledges nothing, instead of after 15 minutes."""
    if sys.platform == "linux":
        milliseconds = int(SILENCE_SECONDS * 1000)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)


def _is_specific(host: str) -> bool:
    try:
        return not ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _ends(sock: trio.socket.SocketType, fallback: str) -> tuple[Endpoint, int]:
    """The other end of a connection, and the port at this one; 0 where it has gone already."""
    try:
        host, port = sock.getpeername()[:2]
        own: int = sock.getsockname()[1]
    except OSError:
        return Endpoint(fallback, 0), 0
    return Endpoint(host, port), own
