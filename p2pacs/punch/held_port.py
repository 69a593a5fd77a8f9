"""One local TCP port out of which this host reaches its neighbours, and is punched to.

A router that keeps its mapping by port gives all connections from one port the same outer port. So
the links to brokers and replicas, which see it, leave from the port that the attempts leave from,
and at which others are waited for while a meeting is on (Ford, Srisuresh and Kegel 2005, 4.1).
SO_REUSEADDR and SO_REUSEPORT allow that on Linux, macOS and the BSDs; where they are missing,
nothing is held, and members are dialled from any port as before.
"""

from __future__ import annotations

import errno
import socket
import sys
from contextlib import ExitStack, suppress
from typing import Final

import trio
from attrs import define, field

from p2pacs.errors import DeadlineError, LinkClosedError
from p2pacs.units import Endpoint
from p2pacs.wire.channel import deadlines

_TAKEN: Final = frozenset({errno.EADDRINUSE, errno.EADDRNOTAVAIL})
"""The same four numbers name another connection, or no interface has the address."""

_ANY: Final = {socket.AF_INET: "0.0.0.0", socket.AF_INET6: "::"}  # noqa: S104 (as dialling does)

ADDRESSES_TRIED: Final = 4
"""Addresses of one name that are dialled."""


STAGGER_SECONDS: Final = 0.25
"""Between the starts of two of them (RFC 8305, 5)."""


class TakenError(LinkClosedError):
    """A connection between the same two ports is there already, or was a moment ago."""


@define
class HeldPort:
    """A port, in every family that this machine has. Made by `hold`."""

    number: int
    _kept: list[socket.socket] = field(repr=False)
    """Bound, never connected and never listening: nobody else gets the port."""

    def close(self) -> None:
        """Let go of it."""
        for sock in self._kept:
            sock.close()

    def listen(self) -> list[trio.SocketListener]:
        """Listeners at it, for as long as a meeting is on; the caller closes them."""
        listeners = []
        for kept in self._kept:
            sock = _shared(kept.family)
            try:
                sock.bind((_ANY[kept.family], self.number))
                sock.listen(16)
                listeners.append(trio.SocketListener(trio.socket.from_stdlib_socket(sock)))
            except OSError:
                sock.close()
        return listeners

    async def dial(self, endpoint: Endpoint, source: str | None = None) -> trio.SocketStream:
        """Open a connection from it to an address.

        Args:
            endpoint: An address, not a name.
            source: The local address to come from; None for any.

        Raises:
            TakenError: there is one between the same two ports.
            LinkClosedError: refused or unreachable.
        """
        family = socket.AF_INET6 if ":" in endpoint.host else socket.AF_INET
        if all(kept.family != family for kept in self._kept):
            raise LinkClosedError(f"cannot connect to {endpoint}: no such addresses here")
        sock = trio.socket.from_stdlib_socket(_shared(family))
        with ExitStack() as unless_connected:
            unless_connected.callback(sock.close)
            try:
                await sock.bind((source or _ANY[family], self.number))
                await sock.connect((endpoint.host, endpoint.port))
            except OSError as error:
                kind = TakenError if error.errno in _TAKEN else LinkClosedError
                raise kind(f"cannot connect to {endpoint}: refused or unreachable") from error
            unless_connected.pop_all()
        return trio.SocketStream(sock)

    async def reach(self, endpoint: Endpoint, source: str | None = None) -> trio.SocketStream:
        """Open a connection to a neighbour, whose addresses are found out, within `CONNECT`.

        Raises:
            TakenError: it must be dialled from another port.
            LinkClosedError: refused or unreachable.
            DeadlineError: no answer in time.
        """
        race = _Answers()
        try:
            with trio.fail_after(deadlines.CONNECT):
                hosts = await _addresses(endpoint)
                async with trio.open_nursery() as nursery:
                    for number, host in enumerate(hosts):
                        target, wait = Endpoint(host, endpoint.port), number * STAGGER_SECONDS
                        nursery.start_soon(self._try, target, source, wait, race, nursery)
        except trio.TooSlowError as error:
            if race.winner is None:
                raise DeadlineError(f"{endpoint} did not answer") from error
        if race.winner is None:
            raise race.failure or LinkClosedError(f"cannot connect to {endpoint}: unreachable")
        return race.winner

    async def _try(
        self,
        endpoint: Endpoint,
        source: str | None,
        wait: float,
        race: _Answers,
        nursery: trio.Nursery,
    ) -> None:
        await trio.sleep(wait)
        try:
            stream = await self.dial(endpoint, source)
        except LinkClosedError as error:
            race.failure = error
            return
        if race.winner is None:
            race.winner = stream
            nursery.cancel_scope.cancel()
        else:
            stream.socket.close()


@define
class _Answers:
    """Dials to all addresses of one name."""

    winner: trio.SocketStream | None = None
    failure: LinkClosedError | None = None


def hold() -> HeldPort | None:
    """Any free port; None where ports cannot be shared by sockets."""
    if sys.platform == "win32":
        return None
    kept: list[socket.socket] = []
    number = 0
    for family, host in _ANY.items():
        with suppress(OSError):  # no IPv6 here, or the number is taken there
            sock = _shared(family)
            try:
                sock.bind((host, number))
            except OSError:
                sock.close()
                raise
            kept.append(sock)
            number = sock.getsockname()[1]
    return HeldPort(number, kept) if kept else None


def _shared(family: int) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if sys.platform != "win32":
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    return sock


async def _addresses(endpoint: Endpoint) -> list[str]:
    try:
        found = await trio.socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise LinkClosedError(f"cannot connect to {endpoint}: unknown host") from error
    hosts = dict.fromkeys(str(one[4][0]) for one in found)
    return list(hosts)[:ADDRESSES_TRIED]
