"""Members in namespaces of their own, each behind its line, some on a LAN: one router between.

    10.2.0.0/16    the lines: a TUN device a member, all of them held by the router
    10.1.0.0/16    the LAN: a bridge in the lab's own namespace, as fast as the machine
    127.3.0.0/16   what members keep to their own machine (API, web form), one address each
    192.168.1.0/24 inside a router with NAT, of each of them (`scripts.lab.homes`)

Nothing else connects two members.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final

import trio
from attrs import field, frozen

from scripts.lab.homes import Home
from scripts.lab.line import MTU, LabLine
from scripts.lab.router import Port, cut_file, plan, rates_file
from scripts.lab.space import Space, ip
from scripts.lab.trace import INTERVAL, Trace
from scripts.program import Command, Program, listens, running

HOME: Final = "10.1.255.254"
"""The lab's own address on the LAN."""

LAN: Final = "10.1.0.0/16"
DEVICE: Final = "line"
"""A member's end of its line."""

CABLE: Final = "lan"
"""A member's end of its cable to the LAN."""

LAN_DEVICE: Final = "switch"
ROUTER_SECONDS: Final = 10.0


@frozen
class PlaceRequest:
    """A member that the lab shall have a place for."""

    name: str
    line: LabLine | None = None
    """None: it has no line."""
    lan: bool = False
    """Whether it is on the LAN."""
    nat: str | None = None
    """The kind of NAT that its line is behind (`scripts.lab.nat.layers`)."""
    behind: str | None = None
    """The place before it whose router with NAT it shares; then it has no line of its own."""


@frozen
class LabPlace:
    """Where a member is; satisfies `scripts.place.Place`. Get one from `Lab.place`."""

    name: str
    number: int
    wish: PlaceRequest
    space: Space
    _nursery: trio.Nursery = field(repr=False)
    home: Home | None = None
    """The routers with NAT that it is behind."""
    inside: str | None = None
    """Its address there."""

    @property
    def address(self) -> str:
        """Its address on its line: its router's, if it is behind NAT."""
        return self.home.outer if self.home else _on_line(self.number)

    @property
    def hosts(self) -> tuple[str, ...]:
        """Its addresses: on the LAN, and on its line or behind NAT, as far as it has them."""
        lan = (f"10.1.{_pair(self.number)}",) if self.wish.lan else ()
        if self.inside is not None:
            return (*lan, self.inside)
        return lan + ((self.address,) if self.wish.line else ())

    @property
    def told(self) -> tuple[str, ...]:
        """Those of `hosts` that it tells others of: behind NAT nobody can use them."""
        return tuple(host for host in self.hosts if host != self.inside)

    @property
    def local(self) -> str:
        """The loopback address of what only its own machine may reach."""
        return f"127.3.{_pair(self.number)}"

    @property
    def lan(self) -> str | None:
        """The lab's LAN if it is on it."""
        return LAN if self.wish.lan else None

    @property
    def prefix(self) -> Command:
        """What, before a command, runs it in its namespace."""
        return self.space.prefix

    def answers(self, port: int) -> bool:
        """Whether somebody there accepts connections at this port of ``local``."""
        with self.space.inside():
            return listens(self.local, port)

    async def reach(self, port: int) -> None:
        """Forwards connections from here to there, for as long as the lab runs."""
        serve = partial(trio.serve_tcp, self._forward, host=self.local)
        await self._nursery.start(serve, port)

    async def _forward(self, near: trio.SocketStream) -> None:
        with self.space.inside():
            sock = trio.socket.socket()
        with suppress(OSError, trio.BrokenResourceError):
            await sock.connect((self.local, near.socket.getsockname()[1]))
            async with near, trio.SocketStream(sock) as far, trio.open_nursery() as nursery:
                nursery.start_soon(_copy, near, far)
                nursery.start_soon(_copy, far, near)


async def _copy(source: trio.SocketStream, target: trio.SocketStream) -> None:
    with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        async for data in source:
            await target.send_all(data)
        await target.send_eof()


def _pair(number: int) -> str:
    return f"{number // 250}.{number % 250 + 1}"


def _on_line(number: int) -> str:
    return f"10.2.{_pair(number)}"


@frozen
class Lab:
    """All places and the router; satisfies `scripts.place.Site`. Open one with `open_lab`."""

    places: dict[str, LabPlace]
    router: Program
    _trace: Path
    broker: str = "broker"

    def place(self, host: str) -> LabPlace:
        """The place of this name."""
        return self.places[host]

    @property
    def lines(self) -> list[str]:
        """Names of all that have a line, in the trace's order."""
        return [name for name, place in self.places.items() if place.wish.line]

    def trace(self) -> Trace:
        """What the router has counted so far."""
        return Trace.read(self._trace, self.lines)

    @contextmanager
    def cut(self, name: str) -> Iterator[None]:
        """This line carries nothing while the block runs, within a tenth of a second.

        Args:
            name: of the member; one at a time.
        """
        file = cut_file(self._trace)
        file.write_text(name, encoding="utf-8")
        try:
            yield
        finally:
            file.unlink()

    def change(self, uplinks: Mapping[str, int]) -> None:
        """These uplinks have other rates within a tenth of a second, until told otherwise.

        Args:
            uplinks: Name of a member → bits a second.
        """
        file = rates_file(self._trace)
        written = file.with_suffix(".new")
        written.write_text(json.dumps(dict(uplinks)), encoding="utf-8")
        written.replace(file)  # the router reads the old rates or the new ones

    async def traced(self, time: float, seconds: float = ROUTER_SECONDS) -> Trace:
        """What it has counted, once its last sample is later than a Unix time.

        Args:
            time: seconds since 1970.
            seconds: that it may take.

        Raises:
            ScriptError: the router counts no more.
        """
        with trio.move_on_after(seconds):
            while not len(trace := self.trace().times) or trace[-1] <= time:
                await trio.sleep(INTERVAL)
            return self.trace()
        raise self.router.failure("does not count")


@asynccontextmanager
async def open_lab(folder: Path, wishes: Iterable[PlaceRequest]) -> AsyncIterator[Lab]:
    """A lab with a place for each wish, while the block runs.

    Args:
        folder: where the router's files are kept.
        wishes: members, by different names.
    """
    places: dict[str, LabPlace] = {}
    devices: list[int] = []
    homes: list[Home] = []
    switch = _switch()
    try:
        async with trio.open_nursery() as nursery:
            for number, wish in enumerate(wishes):
                home = _home(wish, number, places)
                if home is not None and wish.nat:
                    homes.append(home)
                    devices.append(home.device)
                space = Space.new()
                inside = home.add(space) if home else None
                place = LabPlace(wish.name, number, wish, space, nursery, home, inside)
                places[wish.name] = place
                devices += _connect(place, switch)
            ports = _ports(places.values(), devices)
            async with _router(folder, ports) as (router, trace):
                yield Lab(places, router, trace)
            nursery.cancel_scope.cancel()
    finally:
        for device in devices:
            os.close(device)
        ip(f"link del {CABLE}")  # what is in the other namespaces goes with them
        for space in (switch, *(place.space for place in places.values())):
            space.close()
        for home in homes:
            home.close()


def _home(wish: PlaceRequest, number: int, places: Mapping[str, LabPlace]) -> Home | None:
    """The routers that a place is behind: its own, or another's."""
    if wish.behind is not None:
        return places[wish.behind].home
    return Home.open(wish.nat, _on_line(number)) if wish.nat else None


def _switch() -> Space:
    """The LAN, with the lab's own namespace on it."""
    made = Space.new()
    made.ip(f"link add {LAN_DEVICE} type bridge", f"link set {LAN_DEVICE} up")
    ip("link set lo up", f"link add {CABLE} type veth peer name home netns {made.path}")
    ip(f"addr add {HOME}/16 dev {CABLE}", f"link set {CABLE} up")
    made.ip(f"link set home master {LAN_DEVICE}", "link set home up")
    return made


def _connect(place: LabPlace, switch: Space) -> list[int]:
    """Gives a place its networks; the descriptor of its line's device, if it holds a line."""
    space = place.space
    if place.wish.lan:
        port = f"port{place.number}"
        switch.ip(
            f"link add {port} type veth peer name {CABLE} netns {space.path}",
            f"link set {port} master {LAN_DEVICE}",
            f"link set {port} up",
        )
        space.ip(f"addr add {place.hosts[0]}/16 dev {CABLE}", f"link set {CABLE} up")
    if place.wish.line is None or place.home is not None:
        return []
    device = space.tun(DEVICE)
    with space.inside():  # else the kernel solicits IPv6 routers over the line
        Path("/proc/sys/net/ipv6/conf/all/disable_ipv6").write_text("1", encoding="ascii")
    space.ip(
        f"addr add {place.address}/16 dev {DEVICE}", f"link set {DEVICE} mtu {MTU}",
        f"link set {DEVICE} up",
    )  # fmt: skip
    return [device]


def _ports(places: Iterable[LabPlace], devices: Iterable[int]) -> list[Port]:
    lines = [(place, place.wish.line) for place in places]
    having = [(place, line) for place, line in lines if line is not None]
    return [
        Port(place.name, place.address, device, line)
        for (place, line), device in zip(having, devices, strict=True)
    ]


@asynccontextmanager
async def _router(folder: Path, ports: list[Port]) -> AsyncIterator[tuple[Program, Path]]:
    wanted, trace = folder / "router.json", folder / "router.trace"
    wanted.write_text(plan(ports), encoding="utf-8")
    command: Command = [sys.executable, "-m", "scripts.lab.router", wanted, trace]
    descriptors = [port.device for port in ports]
    async with running("router", command, folder / "router.log", pass_fds=descriptors) as program:

        async def counts() -> bool:
            return trace.exists() and trace.stat().st_size > 0

        await program.ready(counts, ROUTER_SECONDS)
        yield program, trace
