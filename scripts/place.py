"""Where a script's programs run: on loopback, each at an address of its own, or elsewhere."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Protocol

from attrs import frozen

from scripts.program import Command, listens


class Place(Protocol):
    """Where one member is."""

    @property
    def hosts(self) -> tuple[str, ...]:
        """Addresses that other members reach it at."""

    @property
    def told(self) -> tuple[str, ...]:
        """Those that it tells others of."""

    @property
    def local(self) -> str:
        """The loopback address of what only its own machine may reach."""

    @property
    def lan(self) -> str | None:
        """The network beside it, which is not its line's; None if it has none."""

    @property
    def prefix(self) -> Command:
        """What, before a command, runs it there."""

    def answers(self, port: int) -> bool:
        """Whether somebody there accepts connections at this port of ``local``."""

    async def reach(self, port: int) -> None:
        """Makes this port of ``local`` reachable for this process, at the same address."""


class Site(Protocol):
    """Says where members are."""

    @property
    def broker(self) -> str:
        """The broker's host."""

    def place(self, host: str) -> Place:
        """Where the member of this host is."""


@frozen
class Loopback:
    """An address of this machine's loopback; satisfies `Place`."""

    local: str
    lan: str | None
    prefix: Command = []  # noqa: RUF008 - attrs' frozen classes share it; nobody appends

    @property
    def hosts(self) -> tuple[str, ...]:
        """Its one address."""
        return (self.local,)

    @property
    def told(self) -> tuple[str, ...]:
        """The same."""
        return self.hosts

    def answers(self, port: int) -> bool:
        """Whether somebody accepts connections there."""
        return listens(self.local, port)

    async def reach(self, port: int) -> None:
        """It is reachable."""


class LoopbackSite:
    """All on this machine's loopback; 127.1.0.0/16 is a LAN. Satisfies `Site`."""

    LAN = ip_network("127.1.0.0/16")
    broker = "127.1.0.1"

    def place(self, host: str) -> Loopback:
        """Where the member with this address out of 127.0.0.0/8 is."""
        return Loopback(host, str(self.LAN) if ip_address(host) in self.LAN else None)
