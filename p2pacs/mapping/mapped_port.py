"""A TCP port that the router leads here, for as long as a block runs.

It is asked for anew every few minutes: so a router that was restarted, has forgotten or is another
one leads here again soon, without anybody watching its epoch (RFC 6887 8.5).
"""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from ipaddress import IPv4Address
from typing import Final, Protocol

import trio
from attrs import define, field

from p2pacs.concurrency.signals import Watch
from p2pacs.mapping.answers import Granted, Refused, RouterAddress
from p2pacs.mapping.asking import Router
from p2pacs.mapping.gateway import default_gateway
from p2pacs.units import Endpoint

LIFETIME: Final = 600
"""Seconds that are asked for: what a program that was killed leaves behind is gone by then."""

RENEW_MOST: Final = 300.0
RENEW_LEAST: Final = 30.0
"""Seconds between two requests: half of what the router gave (RFC 6887 11.2.1), within these."""

RETRY: Final = 600.0
"""Seconds after a router that said no, or nothing."""

DROP_SECONDS: Final = 1.0
"""What taking the mapping back may take at the end."""


class NoMapping(enum.Enum):
    """Why nobody is led here."""

    NOT_TRIED = "the router was not asked yet"
    NO_ROUTER = "which router is asked is not known on this machine"
    NO_ANSWER = "the router does not map ports, by PCP or NAT-PMP"
    REFUSED = "the router refuses to map the port"
    BEHIND_ANOTHER = "the router maps the port, but has no public address itself"


class Asked(Protocol):
    """A router that is asked for one port (`p2pacs.mapping.asking.Router`)."""

    by: str
    gateway: RouterAddress

    async def ask(self, lifetime: int) -> Granted | Refused | None:
        """Asks for a mapping, or with a lifetime of 0 for its end; None: no answer."""


@define
class PortMapping:
    """What the router does for a port. Get one with `mapped_port`."""

    port: int
    outer: Endpoint | None = None
    """What others may dial."""
    by: str | None = None
    """The protocol by which the router was asked, if it maps the port."""
    why: NoMapping | None = NoMapping.NOT_TRIED
    """Why ``outer`` is None."""
    watch: Watch = field(factory=Watch)
    """Told of every change."""

    async def tried(self) -> None:
        """Until the router was asked once."""
        await self.watch.until(lambda: self.why is not NoMapping.NOT_TRIED)

    def _learn(self, router: Asked | None, answer: Granted | Refused | None) -> None:
        self.outer, self.by = None, None
        if router is None:
            self.why = NoMapping.NO_ROUTER
        elif answer is None:
            self.why = NoMapping.NO_ANSWER
        elif isinstance(answer, Refused) or answer.address is None or not answer.lifetime:
            self.why = NoMapping.REFUSED
        elif not answer.address.is_global:
            self.why = NoMapping.BEHIND_ANOTHER
        else:
            self.outer, self.by = Endpoint(str(answer.address), answer.port), router.by
            self.why = None
        self.watch.changed()


@asynccontextmanager
async def mapped_port(
    port: int,
    gateway: Callable[[], IPv4Address | None] = default_gateway,
    router: Callable[[RouterAddress, int], Asked] = Router,
) -> AsyncIterator[PortMapping]:
    """Has the router lead a port here while the block runs, if there is one that does.

    The block begins at once: what came of it is told by the mapping (`PortMapping.tried`).

    Args:
        port: TCP, that something here listens on.
        gateway: Tells the machine's router; asked anew each time.
        router: How one is asked.
    """
    mapping = PortMapping(port)
    held: list[Asked] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_hold, mapping, gateway, router, held)
        try:
            yield mapping
        finally:
            nursery.cancel_scope.cancel()
            with trio.move_on_after(DROP_SECONDS, shield=True):
                for one in held:
                    await one.ask(0)


async def _hold(
    mapping: PortMapping,
    gateway: Callable[[], IPv4Address | None],
    make: Callable[[RouterAddress, int], Asked],
    held: list[Asked],
) -> None:
    while True:
        there = gateway()
        if not held or held[0].gateway != there:  # the machine has moved: that router is far away
            held[:] = [] if there is None else [make(there, mapping.port)]
        asked = held[0] if held else None
        answer = await asked.ask(LIFETIME) if asked else None
        mapping._learn(asked, answer)
        await trio.sleep(pause(answer))


def pause(answer: Granted | Refused | None) -> float:
    """Seconds until the router is asked again."""
    if not isinstance(answer, Granted):
        return RETRY
    return min(RENEW_MOST, max(RENEW_LEAST, answer.lifetime / 2))
