"""Which addresses may read by DICOMweb: this machine, workstations of the settings, networks."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable, Sequence
from typing import Final

import trio

from p2pacs.units import IPNetwork
from p2pacs.web.addresses import Address

LOOK_UP: Final = 60.0
"""Seconds between two looks for the addresses of hosts that are named."""


class WebClients:
    """Decides by address. Nothing says who sits there: so the settings name the addresses."""

    def __init__(self, hosts: Iterable[str], networks: Sequence[IPNetwork]) -> None:
        """Hosts given by name are known after the first look-up.

        Args:
            hosts: addresses and names of workstations.
            networks: of further ones.
        """
        parsed = {host: parse(host) for host in hosts}
        self._addresses = {address for address in parsed.values() if address is not None}
        self._names = [host for host, address in parsed.items() if address is None]
        self._named: frozenset[Address] = frozenset()
        self._networks = networks

    def __call__(self, client: str) -> bool:
        """Whether this address may read."""
        address = parse(client)
        if address is None:
            return False
        if address.is_loopback or address in self._addresses or address in self._named:
            return True
        return any(
            address.version == network.version and address in network for network in self._networks
        )

    async def run(self) -> None:
        """Look the names up, again and again, until cancelled."""
        while self._names:
            await self.look_up()
            await trio.sleep(LOOK_UP)

    async def look_up(self) -> None:
        """Look all names up; one that is not known at the moment may not read."""
        found: set[Address] = set()
        for name in self._names:
            try:
                entries = await trio.socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
            except OSError:
                continue
            found.update(
                address for entry in entries if (address := parse(str(entry[4][0]))) is not None
            )
        self._named = frozenset(found)


def parse(text: str) -> Address | None:
    """An address, one of IPv4 that is written as IPv6 as such; None if it is none."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
