"""Two hospitals behind routers of Linux, a broker and a replica on the same Internet, 20 ms apart.

To be used in a world of its own (`scripts.lab.shell.way_in`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from attrs import evolve

from p2pacs.identity.directory import Directory, Role, sign_directory
from p2pacs.identity.node import NodeIdentity
from scripts.lab.line import LabLine
from scripts.lab.router import Port, plan
from scripts.lab.space import Space
from tests.p2pacs.identity.network import Network, record_of

RATE: Final = 50_000_000
LISTEN: Final = 4000

DROP: Final = "drop"
REFUSE: Final = "reject with tcp reset"

KINDS: Final = ("none", "steady", "refusing", "cone", "symmetric")
"""No router; port-preserving with filtering by address and port, which drops or refuses what it
does not know; full cone; symmetric (with that filtering)."""


def rules(kind: str) -> str:
    """What nft is told of a router whose outer device is ``line``."""
    deny = REFUSE if kind == "refusing" else DROP
    masquerade = "masquerade fully-random" if kind == "symmetric" else "masquerade"
    chains = [
        "chain post { type nat hook postrouting priority 100; oifname line "
        f"{'update @outside { tcp sport : ip saddr . tcp sport } ' if kind == 'cone' else ''}"
        f"{masquerade}; }}",
        f"chain in {{ type filter hook input priority 0; iifname line meta l4proto tcp"
        f" ct state new {deny}; }}",
    ]
    if kind == "cone":
        chains += [
            "map outside { type inet_service : ipv4_addr . inet_service; flags dynamic; }",
            "chain pre { type nat hook prerouting priority -100; iifname line"
            " dnat ip to tcp dport map @outside; }",
        ]
        chains.reverse()
    else:
        chains.append(
            f"chain on {{ type filter hook forward priority 0; iifname line ct state new {deny}; }}"
        )
    return "table ip nat {\n" + "\n".join(chains) + "\n}\n"


class World:
    """Namespaces, and the processes in them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stack = ExitStack()
        self._ports: list[Port] = []
        self.spaces: dict[str, Space] = {}
        self.network = Network.create(folder / "network")

    def close(self) -> None:
        self._stack.close()

    def _space(self) -> Space:
        space = Space.new()
        self._stack.callback(space.close)
        return space

    def on_the_line(self, name: str) -> Space:
        """A namespace with an outer address."""
        space, address = self._space(), f"10.2.0.{len(self._ports) + 1}"
        device = space.tun("line")
        space.ip(
            f"addr add {address}/32 dev line",
            "link set line up mtu 1492",
            "route add default dev line",
        )
        line = LabLine(uplink=RATE, downlink=RATE, delay=0.01, queue=100_000)
        self._ports.append(Port(name, address, device, line))
        return space

    def behind(self, kind: str, *names: str, router: Space | None = None) -> Space:
        """Hospitals behind a router of this kind, on one inner network."""
        if kind == "none":
            for name in names:
                self.spaces[name] = self.on_the_line(name)
            return self.spaces[names[0]]
        router = router or self.on_the_line("router of " + " and ".join(names))
        router.ip(
            "link add inner type bridge", "addr add 192.168.7.1/24 dev inner", "link set inner up"
        )
        for number, name in enumerate(names):
            space = self.spaces[name] = self._space()
            router.ip(
                f"link add to{number} type veth peer name eth netns {space.path}",
                f"link set to{number} up master inner",
            )
            space.ip(
                f"addr add 192.168.7.{number + 2}/24 dev eth",
                "link set eth up",
                "route add default via 192.168.7.1",
            )
        with router.inside():
            Path("/proc/sys/net/ipv4/ip_forward").write_text("1", encoding="ascii")
            subprocess.run(["nft", "-f", "-"], input=rules(kind), text=True, check=True)
        return router

    def start_lines(self) -> None:
        """Carry packets from now on."""
        path = self._folder / "plan"
        path.write_text(plan(self._ports), encoding="utf-8")
        trace = str(self._folder / "trace")
        command = [sys.executable, "-m", "scripts.lab.router", str(path), trace]
        router = subprocess.Popen(command, pass_fds=[port.device for port in self._ports])
        self._stack.callback(_end, router)

    def address(self, name: str) -> str:
        return next(port.address for port in self._ports if port.name == name)

    # ------------------------------------------------------------ members

    def members(self, dialled: Sequence[str], others: Sequence[str]) -> dict[str, NodeIdentity]:
        """Identities with a directory: broker and ``dialled`` have endpoints, the others none."""
        identities = {"broker": self.network.broker}
        identities |= {name: self.network.member(name) for name in (*dialled, *others)}
        records = []
        for name, identity in identities.items():
            role = Role.BROKER if name == "broker" else Role.HOSPITAL
            role = Role.REPLICA if name in dialled else role
            there = (f"{self.address(name)}:{LISTEN}",) if name not in others else ()
            records.append(evolve(record_of(identity, role), name=name, endpoints=there))
        signed = sign_directory(Directory(1, 1, tuple(records)), self.network.signing)
        for identity in identities.values():
            (identity.folder / "directory").write_bytes(signed)
        return identities

    def run(self, name: str, identity: NodeIdentity, *arguments: str) -> subprocess.Popen[str]:
        """A member's process."""
        module = "tests.p2pacs.punch.nat_member"
        command = [*map(str, self.spaces[name].prefix), sys.executable, "-m", module]
        process = subprocess.Popen(
            [*command, str(identity.folder), name, *arguments],
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"SIGNING": self.network.signing.secret.reveal().hex()},
        )
        self._stack.callback(_end, process)
        return process


def _end(process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


@contextmanager
def world(folder: Path) -> Iterator[World]:
    made = World(folder)
    try:
        yield made
    finally:
        made.close()


def said(process: subprocess.Popen[str], what: str, seconds: float) -> dict[str, object] | None:
    """What a member prints under this name, within so many seconds; None: it says it failed."""
    end = time.monotonic() + seconds
    if process.stdout is None:
        return None
    for line in process.stdout:
        fields: dict[str, object] = json.loads(line)
        if fields["what"] == what:
            return fields
        if time.monotonic() > end or fields["what"] == "end":
            return None
    return None
