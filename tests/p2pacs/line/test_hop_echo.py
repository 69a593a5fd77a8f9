"""Asking routers: on this machine's own addresses, and in a world with routers of Linux."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest
import trio
import trio.testing

from p2pacs.line import hop_echo
from p2pacs.line.hop_echo import Route, watch_queue
from p2pacs.line.hop_trips import HopTrips
from scripts.lab import shell
from tests.p2pacs.line.inside_hop_echo import Line

SECONDS = 30.0


@pytest.mark.lab
@pytest.mark.system
def test_routers_of_linux_answer() -> None:
    tests = Path(__file__).with_name("inside_hop_echo.py")
    command = [*shell.way_in(), sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, tests], capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == 0, done.stdout
    assert "4 passed" in done.stdout


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_what_comes_to_the_member_itself_is_told(host: str) -> None:
    hops = HopTrips()
    line = Line(Route(host, host))
    with trio.fail_after(SECONDS):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(line.keep_polling)
            nursery.start_soon(watch_queue, line, hops)
            while hops._reached is None:
                await trio.sleep(0.02)
            nursery.cancel_scope.cancel()
    assert hops._reached == 1
    assert hops.look(trio.current_time()) is None
    assert line.charged >= 28


async def test_a_line_that_idles_is_not_asked_about() -> None:
    class Idle(Line):
        async def used(self) -> None:
            await trio.sleep_forever()

    hops, line = HopTrips(), Idle(Route("127.0.0.1", "127.0.0.1"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch_queue, line, hops)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert line.charged == 0


async def test_an_address_that_is_not_here_is_no_error() -> None:
    hops, line = HopTrips(), Line(Route("192.0.2.1", "192.0.2.2"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch_queue, line, hops)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert line.charged == 0


async def test_other_systems_have_no_error_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hop_echo.sys, "platform", "darwin")
    await watch_queue(Line(Route("127.0.0.1", "127.0.0.1")), HopTrips())


async def test_routes_of_connections() -> None:
    with socket.socket() as listener, trio.socket.socket() as sock:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        assert Route.of(sock) is None, "not connected"
        await sock.connect(listener.getsockname())
        assert Route.of(sock) is None, "on this machine"
    assert Route.of(sock) is None, "closed"
    assert Route("10.0.0.1", "10.0.0.2").family == socket.AF_INET
    assert Route("2001:db8::1", "2001:db8::2").family == socket.AF_INET6
    assert hop_echo._plain("::ffff:10.0.0.1") == "10.0.0.1"
    assert hop_echo._plain("fe80::1%eth0") == "fe80::1"
