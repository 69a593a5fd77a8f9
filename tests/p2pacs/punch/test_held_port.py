import socket
from contextlib import suppress
from functools import partial

import pytest
import trio

from p2pacs.errors import LinkClosedError
from p2pacs.punch.held_port import HeldPort, TakenError, hold
from p2pacs.units import Endpoint
from tests.components import free_port


@pytest.fixture
def port() -> HeldPort:
    held = hold()
    assert held is not None
    return held


async def served(nursery: trio.Nursery, host: str = "127.0.0.1") -> Endpoint:
    async def wait(stream: trio.SocketStream) -> None:
        await stream.send_all(str(stream.socket.getpeername()[1]).encode())
        with suppress(trio.BrokenResourceError):
            await stream.receive_some()

    listeners = await nursery.start(partial(trio.serve_tcp, wait, 0, host=host))
    return Endpoint(*listeners[0].socket.getsockname()[:2])


async def test_all_see_the_same_port(port: HeldPort) -> None:
    async with trio.open_nursery() as nursery:
        seen = set()
        for host in ("127.0.0.1", "127.0.0.2"):
            stream = await port.reach(await served(nursery, host))
            seen.add(int(await stream.receive_some()))
        assert seen == {port.number}
        nursery.cancel_scope.cancel()
    port.close()


async def test_one_connection_between_two_ports(port: HeldPort) -> None:
    async with trio.open_nursery() as nursery:
        there = await served(nursery)
        stream = await port.reach(there)
        with pytest.raises(TakenError):
            await port.reach(there)
        await stream.aclose()
        nursery.cancel_scope.cancel()
    port.close()


async def test_refused_names_and_families(port: HeldPort) -> None:
    with pytest.raises(LinkClosedError) as caught:
        await port.dial(Endpoint("127.0.0.1", free_port("127.0.0.1")))
    assert not isinstance(caught.value, TakenError)
    with pytest.raises(LinkClosedError, match="unknown host"):
        await port.reach(Endpoint("nobody.invalid", 4000))
    port.close()
    four = HeldPort(port.number, [])
    with pytest.raises(LinkClosedError, match="no such addresses"):
        await four.dial(Endpoint("::1", 4000))


async def test_it_is_listened_at_beside_its_connections(port: HeldPort) -> None:
    async with trio.open_nursery() as nursery:
        linked = await port.reach(await served(nursery))
        listeners = port.listen()
        stream = await trio.open_tcp_stream("127.0.0.1", port.number)
        await listeners[0].accept()
        await stream.aclose()
        await linked.aclose()
        for listener in listeners:
            await listener.aclose()
        with pytest.raises(OSError, match="failed"):
            await trio.open_tcp_stream("127.0.0.1", port.number)
        nursery.cancel_scope.cancel()
    port.close()


def test_nobody_else_gets_it(port: HeldPort) -> None:
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("0.0.0.0", port.number))  # noqa: S104
    port.close()
