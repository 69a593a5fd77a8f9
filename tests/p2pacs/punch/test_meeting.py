"""Two members that dial each other on the loopback, each from a port that it holds."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
import trio.testing

from p2pacs.errors import P2PacsError
from p2pacs.identity.node import NodeIdentity
from p2pacs.ids import VirtualAddress
from p2pacs.punch.addresses import Nearness, Target
from p2pacs.punch.attempts import Attempts, AttemptsTuning
from p2pacs.punch.door import HeldDoor
from p2pacs.punch.held_port import hold
from p2pacs.punch.meeting import Met, Rendezvous
from p2pacs.punch.offers import TOKEN_BYTES
from p2pacs.units import Endpoint
from tests.p2pacs.identity.network import Network

TOKEN = bytes(range(TOKEN_BYTES))
QUICK = AttemptsTuning(seconds=1.0)


class Side:
    def __init__(self, identity: NodeIdentity, door: HeldDoor) -> None:
        self.identity = identity
        self.door = door

    def meeting(self, other: VirtualAddress, *ports: int, token: bytes = TOKEN) -> Rendezvous:
        targets = [Target(Nearness.OUTER, Endpoint("127.0.0.1", port)) for port in ports]
        attempts = Attempts(targets, bytes(self.identity.address), QUICK)
        return Rendezvous(self.door.port, self.identity, other, token, attempts)


@asynccontextmanager
async def sides(folder: Path) -> AsyncIterator[tuple[Side, Side]]:
    network = Network.create(folder)
    made = []
    async with trio.open_nursery() as nursery:
        for name in ("one", "other"):
            port = hold()
            assert port is not None
            door = HeldDoor(port)
            nursery.start_soon(door.run)
            made.append(Side(network.member(name), door))
        await trio.testing.wait_all_tasks_blocked()
        yield made[0], made[1]
        nursery.cancel_scope.cancel()


async def met(
    meeting: Rendezvous, door: HeldDoor, results: list[Met], token: bytes = TOKEN
) -> None:
    with door.open(token, meeting):
        results.append(await meeting.run())


@pytest.mark.parametrize("dialling", ["both", "one", "other"])
async def test_one_channel_comes_of_it(tmp_path: Path, dialling: str) -> None:
    async with sides(tmp_path) as (one, other):
        results: list[Met] = []
        targets = {
            "one": (other.door.port.number,) if dialling != "other" else (),
            "other": (one.door.port.number,) if dialling != "one" else (),
        }
        first = one.meeting(other.identity.address, *targets["one"])
        second = other.meeting(one.identity.address, *targets["other"])
        with trio.fail_after(10):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(met, first, one.door, results)
                nursery.start_soon(met, second, other.door, results)
        assert {result.remote.address for result in results} == {
            one.identity.address,
            other.identity.address,
        }
        here, there = results
        async with trio.open_nursery() as nursery:
            nursery.start_soon(here.stream.send_all, b"hello")
            assert await there.stream.receive_some() == b"hello"
        assert len(one.door) == len(other.door) == 0


async def test_who_is_somebody_else_is_not_met(tmp_path: Path) -> None:
    async with sides(tmp_path) as (one, other):
        third = Network.create(tmp_path / "elsewhere").member("third").address
        first = one.meeting(third, other.door.port.number)
        second = other.meeting(one.identity.address)

        async def fails(meeting: Rendezvous, door: HeldDoor) -> None:
            with pytest.raises(P2PacsError):
                await met(meeting, door, [])

        with trio.fail_after(20):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(fails, second, other.door)
                nursery.start_soon(fails, first, one.door)


async def test_nobody_is_there(tmp_path: Path) -> None:
    async with sides(tmp_path) as (one, other):
        with pytest.raises(P2PacsError), trio.fail_after(5):
            await one.meeting(other.identity.address, other.door.port.number).run()


async def test_without_the_token_nobody_gets_in(tmp_path: Path) -> None:
    async with sides(tmp_path) as (one, other):
        with one.door.open(TOKEN, one.meeting(other.identity.address)):
            stranger = await trio.open_tcp_stream("127.0.0.1", one.door.port.number)
            await stranger.send_all(bytes(TOKEN_BYTES))
            with trio.fail_after(5):
                assert await closed(stranger)
            short = await trio.open_tcp_stream("127.0.0.1", one.door.port.number)
            await short.send_all(TOKEN[:-1])
            await short.send_eof()
            with trio.fail_after(5):
                assert await closed(short)


async def closed(stream: trio.SocketStream) -> bool:
    try:
        return await stream.receive_some() == b""
    except trio.BrokenResourceError:
        return True
