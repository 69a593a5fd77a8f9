"""Networks behind routers with NAT: namespaces of routers, and cables to them.

192.168.1.0/24   inside, the same everywhere, as in real homes; the router is .1
100.64.0.0/24    between the hospital's router and its provider's, where there are two
"""

from __future__ import annotations

import os
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Final

from attrs import define, field

from scripts.lab.line import MTU
from scripts.lab.nat import INNER, LINE, Layer, layers, rules
from scripts.lab.space import Space
from scripts.program import ScriptError

INSIDE: Final = "192.168.1.{}"
BETWEEN: Final = "100.64.0.{}"
CABLE: Final = "eth0"
"""A member's end of its cable to the router."""

NFT_SECONDS: Final = 10.0


@define
class Home:
    """What is behind one line with NAT. Make one with `Home.open`."""

    outer: str
    """The address on the line."""
    routers: list[Space]
    """The hospital's own first; the last one has the line."""
    device: int
    """Descriptor of the line's device."""
    _members: int = field(default=0, init=False)

    @classmethod
    def open(cls, kind: str, outer: str) -> Home:
        """Routers of this kind whose line has this address, with nobody inside.

        Args:
            kind: As `scripts.lab.nat.layers` takes it.
            outer: IPv4 address of the lines' /16.

        Raises:
            ScriptError: nft is missing, or this kernel has not what it asks for.
        """
        wanted = layers(kind)
        routers = [Space.new() for _ in wanted]
        for number, router in enumerate(routers):
            _prepare(router, INSIDE if number == 0 else BETWEEN)
        for near, far in pairwise(routers):
            _cable(near, LINE, far, BETWEEN, 2)
        device = routers[-1].tun(LINE)
        routers[-1].ip(
            f"addr add {outer}/16 dev {LINE}", f"link set {LINE} mtu {MTU}", f"link set {LINE} up"
        )
        addresses = [BETWEEN.format(2)] * (len(routers) - 1) + [outer]
        for router, layer, address in zip(routers, wanted, addresses, strict=True):
            _translate(router, layer, address)
        return cls(outer, routers, device)

    def add(self, member: Space) -> str:
        """Connects one more; its address inside."""
        self._members += 1
        _cable(member, CABLE, self.routers[0], INSIDE, self._members + 1)
        return INSIDE.format(self._members + 1)

    def close(self) -> None:
        """Lets go of the routers; the device is its holder's."""
        for router in self.routers:
            router.close()


def _prepare(router: Space, inside: str) -> None:
    router.ip(
        f"link add {INNER} type bridge", f"addr add {inside.format(1)}/24 dev {INNER}",
        f"link set {INNER} mtu {MTU}", f"link set {INNER} up",
    )  # fmt: skip
    _set(router, "ipv6/conf/all/disable_ipv6", "1")
    _set(router, "ipv4/ip_forward", "1")


def _cable(near: Space, device: str, far: Space, network: str, number: int) -> None:
    """From a device to the bridge of a router, and the way to everywhere over it."""
    port = f"port{number}"
    _set(near, "ipv6/conf/all/disable_ipv6", "1")
    far.ip(
        f"link add {port} type veth peer name {device} netns {near.path}",
        f"link set {port} mtu {MTU}", f"link set {port} master {INNER}", f"link set {port} up",
    )  # fmt: skip
    near.ip(
        f"addr add {network.format(number)}/24 dev {device}", f"link set {device} mtu {MTU}",
        f"link set {device} up", f"route add default via {network.format(1)}",
    )  # fmt: skip


def _set(space: Space, name: str, value: str) -> None:
    with space.inside():
        Path(f"/proc/sys/net/{name}").write_text(value, encoding="ascii")


def nft_program() -> str | None:
    """Where nft is; None if it is not installed."""
    return shutil.which("nft", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def _translate(router: Space, layer: Layer, outer: str) -> None:
    nft = nft_program()
    if nft is None:
        raise ScriptError("nft is not installed. Debian: apt-get install nftables")
    with router.inside():
        done = subprocess.run(
            [nft, "-f", "-"],
            input=rules(layer, outer),
            capture_output=True,
            text=True,
            timeout=NFT_SECONDS,
            check=False,
        )
    if done.returncode:
        raise ScriptError(f"nft: {done.stderr.strip()}")
