"""One meeting: both dial from the ports that they hold, and one TLS channel comes out of it.

Whoever has the lower virtual address is the TLS client, whichever side's SYN came through, and
chooses: it shakes hands on the first connection on which the other side said the meeting's token,
and on the next one if that fails. The other side serves TLS on all, and takes what is finished.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Final

import trio
from attrs import frozen

from p2pacs.errors import AuthenticationError, DeadlineError, P2PacsError
from p2pacs.identity import tls
from p2pacs.identity.directory import Remote
from p2pacs.identity.node import NodeIdentity
from p2pacs.ids import VirtualAddress
from p2pacs.punch.addresses import Target
from p2pacs.punch.attempts import Attempts
from p2pacs.punch.held_port import HeldPort
from p2pacs.punch.offers import TOKEN_BYTES
from p2pacs.wire.channel import channel

TOKEN_SECONDS: Final = 3.0
"""For the other side's token: it sends it with its first packet."""

SETTLE_SECONDS: Final = 10.0
"""From the last attempt to a finished handshake, on a slow line that is in use."""

CONNECTIONS: Final = 8
"""Connections of one meeting: one for each address, from each side, are fewer."""


@frozen
class Met:
    """What came out of a meeting."""

    stream: tls.Stream
    remote: Remote
    host: str
    """The other side's address."""


class Rendezvous:
    """The sockets of one meeting. `run` it once."""

    def __init__(
        self,
        port: HeldPort,
        identity: NodeIdentity,
        other: VirtualAddress,
        token: bytes,
        attempts: Attempts,
    ) -> None:
        """Nothing is dialled yet; what comes with the token is kept (`came`).

        Args:
            port: From where.
            identity: Ours.
            other: Who is met.
            token: What every connection begins with.
            attempts: When which address is dialled.
        """
        self._port = port
        self._identity = identity
        self._other = other
        self._token = token
        self._attempts = attempts
        self._is_client = identity.address < other
        self._send, self._connected = trio.open_memory_channel[trio.SocketStream](CONNECTIONS)
        self._met: Met | None = None
        self._failure: P2PacsError | None = None
        self._busy = 0

    def came(self, tcp: trio.SocketStream) -> bool:
        """Somebody came to the held port and said this meeting's token; whether it is taken."""
        try:
            self._send.send_nowait(tcp)
        except (trio.WouldBlock, trio.ClosedResourceError, trio.BrokenResourceError):
            return False
        return True

    async def run(self) -> Met:
        """Dial, and wait to be dialled, until there is a channel.

        Raises:
            P2PacsError: there is none in time.
        """
        tuning = self._attempts.tuning
        with trio.move_on_after(tuning.seconds + SETTLE_SECONDS):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._shake_hands, nursery.cancel_scope)
                async with trio.open_nursery() as dialling:
                    for target in self._attempts.targets:
                        dialling.start_soon(self._dial, target)
                    dialling.start_soon(trio.sleep, tuning.seconds)
                await self._settle(nursery.cancel_scope)
        if self._met is None:
            raise self._failure or DeadlineError("no connection came about")
        return self._met

    async def _settle(self, scope: trio.CancelScope) -> None:
        """Nothing more is dialled: what is connected has a while, if anything is."""
        if self._busy == 0 and self._connected.statistics().current_buffer_used == 0:
            scope.cancel()

    def drop(self) -> None:
        """It is over: what came and was not needed is closed, and nothing is taken any more."""
        self._send.close()
        with suppress(trio.WouldBlock, trio.EndOfChannel):
            while True:
                self._connected.receive_nowait().socket.close()

    # ------------------------------------------------------------ dialling

    async def _dial(self, target: Target) -> None:
        start = trio.current_time()
        while (due := self._attempts.due(target)) is not None:
            await trio.sleep_until(start + due)
            self._attempts.dialled(target)
            left = start + self._attempts.tuning.seconds - trio.current_time()
            try:
                with trio.move_on_after(left):
                    await self._begin(await self._port.dial(target.endpoint))
            except P2PacsError as error:
                self._failure = self._failure or error
            self._attempts.spent(target, trio.current_time() - start)

    async def _begin(self, tcp: trio.SocketStream) -> None:
        """A connection that this side opened: say the token, and hear it."""
        if await exchange(tcp, self._token):
            await self._send.send(tcp)
            await trio.sleep_forever()  # another one to the same address would be of no use

    # ------------------------------------------------------------ shaking hands

    async def _shake_hands(self, done: trio.CancelScope) -> None:
        async with trio.open_nursery() as nursery:
            async for tcp in self._connected:
                if self._is_client:
                    await self._try(tcp, done)
                else:
                    nursery.start_soon(self._try, tcp, done)

    async def _try(self, tcp: trio.SocketStream, done: trio.CancelScope) -> None:
        self._busy += 1
        try:
            host = channel.network_address_of(tcp)
            stream = await self._handshake(tcp)
            remote = await self._verified(stream)
        except P2PacsError as error:
            self._failure = error
        else:
            if self._met is not None:
                await trio.aclose_forcefully(stream)
                return
            self._met = Met(stream, remote, host)
            done.cancel()
        finally:
            self._busy -= 1

    async def _handshake(self, tcp: trio.SocketStream) -> tls.Stream:
        who = f"member {self._other}"
        if not self._is_client:
            return await channel.handshake(tcp, tls.server_context(self._identity), who=who)
        context = tls.client_context(self._identity)
        return await channel.handshake(tcp, context, who=who, server_hostname=str(self._other))

    async def _verified(self, stream: tls.Stream) -> Remote:
        try:
            return self._expected(tls.verify_channel(stream))
        except AuthenticationError:
            await trio.aclose_forcefully(stream)
            raise

    def _expected(self, remote: Remote) -> Remote:
        if remote.address != self._other:
            raise AuthenticationError(f"{remote.address} came, not {self._other}")
        return remote


async def exchange(tcp: trio.SocketStream, token: bytes) -> bool:
    """Say the token and hear it, within `TOKEN_SECONDS`; whether the other side said it.

    If not, the connection is closed.
    """
    said = b""
    try:
        await tcp.send_all(token)
        said = await read_token(tcp)
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        return False
    finally:
        if said != token:
            tcp.socket.close()
    return said == token


async def read_token(tcp: trio.SocketStream) -> bytes:
    """The first bytes that come, as many as a token has; fewer if no more come in time.

    Raises:
        trio.BrokenResourceError: the connection broke.
    """
    said = b""
    with trio.move_on_after(TOKEN_SECONDS):
        while len(said) < TOKEN_BYTES:
            more = await tcp.receive_some(TOKEN_BYTES - len(said))
            if not more:
                break
            said += bytes(more)
    return said
