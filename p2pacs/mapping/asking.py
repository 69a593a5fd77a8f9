"""Asking the router over UDP: PCP first, then NAT-PMP (RFC 6887 9, RFC 6886 3.1).

The socket is connected, so the kernel passes on what comes from the router alone.
"""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable
from functools import partial
from ipaddress import IPv4Address, ip_address
from typing import Final, TypeVar

import trio
from attrs import define, field

from p2pacs.mapping import nat_pmp, pcp
from p2pacs.mapping.answers import UNSUPPORTED_VERSION, Granted, Refused, RouterAddress

WAITS: Final = (0.25, 0.5, 1.0, 2.0)
"""Seconds for an answer, each after asking anew: NAT-PMP's (RFC 6886 3.1), but not for 64 s. PCP
would begin with 3 s (RFC 6887 8.1.1), for routers that are far away: this one is on the LAN."""

ANSWERS: Final = 64
"""That are looked at after each: whoever sends more is not answering."""

PCP: Final = "PCP"
NAT_PMP: Final = "NAT-PMP"

_T = TypeVar("_T")


@define
class Router:
    """The router, and what it was asked for."""

    gateway: RouterAddress
    port: int
    """Our TCP port."""
    by: str = PCP
    """What it speaks, as far as is known."""
    wanted: int = field()
    """The outer port that it gave last, asked for again also after it has forgotten; first ours."""
    _nonce: bytes = field(factory=lambda: secrets.token_bytes(pcp.NONCE_BYTES), init=False)

    @wanted.default
    def _as_here(self) -> int:
        return self.port

    async def ask(self, lifetime: int) -> Granted | Refused | None:
        """Asks for the mapping, for its renewal, or with a lifetime of 0 for its end.

        Args:
            lifetime: Seconds.

        Returns:
            Of a mapping address and port; None if nobody answers.
        """
        try:
            with self._socket() as sock:
                answer = await self._by_pcp(sock, lifetime) if self.by == PCP else None
                old = answer is None or answer == Refused(UNSUPPORTED_VERSION)
                if old and self.gateway.version == 4:
                    answer = await self._by_nat_pmp(sock, lifetime) or answer
                    if isinstance(answer, Granted):
                        self.by = NAT_PMP
        except OSError:  # no way there, or nobody listens
            return None
        if isinstance(answer, Granted):
            self.wanted = answer.port or self.port
        elif self.by == NAT_PMP:
            self.by = PCP  # it may be another one by now
        return answer

    def _socket(self) -> trio.socket.SocketType:
        family = socket.AF_INET if self.gateway.version == 4 else socket.AF_INET6
        return trio.socket.socket(family, socket.SOCK_DGRAM)

    async def _by_pcp(
        self, sock: trio.socket.SocketType, lifetime: int
    ) -> Granted | Refused | None:
        await sock.connect((str(self.gateway), pcp.PORT))
        inner = ip_address(sock.getsockname()[0].partition("%")[0])
        request = pcp.map_request(self._nonce, inner, self.port, self.wanted, lifetime)
        return await exchange(
            sock, request, partial(pcp.parse_map, nonce=self._nonce, port=self.port)
        )

    async def _by_nat_pmp(
        self, sock: trio.socket.SocketType, lifetime: int
    ) -> Granted | Refused | None:
        await sock.connect((str(self.gateway), pcp.PORT))
        request = nat_pmp.map_request(self.port, self.wanted if lifetime else 0, lifetime)
        parse = partial(nat_pmp.parse_map, port=self.port)
        answer = await exchange(sock, request, parse)
        if not isinstance(answer, Granted) or not lifetime:
            return answer
        outer = await exchange(sock, nat_pmp.ADDRESS_REQUEST, nat_pmp.parse_address)
        if isinstance(outer, IPv4Address):
            return Granted(answer.port, answer.lifetime, outer)
        return outer


async def exchange(
    sock: trio.socket.SocketType, request: bytes, parse: Callable[[bytes], _T]
) -> _T | None:
    """The first answer that `parse` takes; None if there is none in time.

    Raises:
        OSError: nobody listens there, or there is no way.
    """
    for wait in WAITS:
        await sock.send(request)
        with trio.move_on_after(wait):
            for _ in range(ANSWERS):
                answer = parse(await sock.recv(pcp.MOST_BYTES + 1))
                if answer is not None:
                    return answer
    return None
