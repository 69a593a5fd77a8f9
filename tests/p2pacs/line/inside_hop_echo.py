"""What `test_hop_echo.py` runs in a world of its own: routers of Linux, over IPv4 and IPv6."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio

from p2pacs.line import hop_echo
from p2pacs.line.hop_echo import Route, watch_queue
from p2pacs.line.hop_trips import HopTrips
from scripts.lab.space import Space

SECONDS = 30.0
ROUTES = [
    (Route("10.9.1.2", "10.9.2.2"), "10.9.1.1"),
    (Route("fd00:1::2", "fd00:2::2"), "fd00:1::1"),
]


class Line:
    """A line that is used all the time."""

    def __init__(self, route: Route) -> None:
        self._route = route
        self.charged = 0.0
        self.poll: Callable[[], None] | None = None

    async def keep_polling(self) -> None:
        """As a pacer does while it is used."""
        while True:
            await trio.sleep(0.05)
            if self.poll is not None:
                self.poll()

    async def used(self) -> None:
        await trio.lowlevel.checkpoint()

    def route(self, seconds: float) -> Route | None:
        return self._route

    def charge(self, size: float) -> None:
        self.charged += size


@contextmanager
def member_behind_a_router() -> Iterator[None]:
    """This thread is a member's, one router away from another."""
    member, router, far = Space.new(), Space.new(), Space.new()
    ends = [(member, 1, 2), (far, 2, 2)]
    for space, net, number in ends:
        router.ip(f"link add to{net} type veth peer name line netns {space.path}")
        for there, device, last in ((router, f"to{net}", 1), (space, "line", number)):
            there.ip(
                f"addr add 10.9.{net}.{last}/24 dev {device}",
                f"addr add fd00:{net}::{last}/64 dev {device} nodad",
                f"link set {device} up",
            )
        space.ip(f"route add default via 10.9.{net}.1", f"route add ::/0 via fd00:{net}::1")
    with router.inside():
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1", encoding="ascii")
        Path("/proc/sys/net/ipv6/conf/all/forwarding").write_text("1", encoding="ascii")
    with member.inside():
        Path("/proc/sys/net/ipv4/ping_group_range").write_text("0 0", encoding="ascii")
        yield
    for space in (member, router, far):
        space.close()


async def watched(route: Route, hops: HopTrips, until: Callable[[], bool]) -> float:
    """Ask until this is so; the bytes that it took."""
    line = Line(route)
    with trio.fail_after(SECONDS):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(line.keep_polling)
            nursery.start_soon(watch_queue, line, hops)
            while not until():
                await trio.sleep(0.05)
            nursery.cancel_scope.cancel()
    return line.charged


@pytest.mark.parametrize(("route", "router"), ROUTES)
async def test_a_router_answers_what_ends_there_and_the_member_the_rest(
    route: Route, router: str
) -> None:
    with member_behind_a_router():
        hops = HopTrips()
        charged = await watched(
            route, hops, lambda: hops._reached == 2 and hops.look(trio.current_time()) is not None
        )
    assert hops._hops[1].address == router
    assert 0 < hops._hops[1].least.value < 1
    assert charged % (28 if ":" not in router else 48) == 0
    assert charged > 0


@pytest.mark.parametrize(("route", "router"), ROUTES)
async def test_a_sparing_router_answers_echoes(route: Route, router: str) -> None:
    with member_behind_a_router():
        hops = HopTrips()
        await watched(
            route, hops, lambda: hops._hops.get(1) is not None and bool(hops._hops[1].address)
        )
        hops.found, hop = 1, hops._hops[1]
        hop.sparing, hop._sparing_since = True, trio.current_time()

        def echoed() -> bool:
            return hops._echo is not None and hops._echo.answers >= 3

        line = Line(route)
        with trio.fail_after(SECONDS):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(line.keep_polling)
                nursery.start_soon(_asking, line, hops)
                while not echoed():
                    await trio.sleep(0.05)
                nursery.cancel_scope.cancel()
    assert hops._echo is not None
    assert hops._echo.address == router


async def _asking(line: Line, hops: HopTrips) -> None:
    """As `watch_queue`, of a router that is known."""
    route = line.route(0)
    assert route is not None
    with hop_echo._sockets(route) as prober:
        hops.may_echo = prober.echoes
        await prober.run(line, hops)
