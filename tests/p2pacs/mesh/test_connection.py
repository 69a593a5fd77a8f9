from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
import trio.testing

from p2pacs.errors import LinkClosedError
from p2pacs.identity.directory import Remote, Role
from p2pacs.ids import VirtualAddress
from p2pacs.line.line import Line
from p2pacs.line.paced import PacedStream
from p2pacs.line.pacer import Pacer
from p2pacs.mesh.connection import BLOCK_ENVELOPE, Connection
from p2pacs.mesh.interfaces import Channel
from p2pacs.wire.messages.codec import encode
from p2pacs.wire.messages.messages import Block, Ping
from tests.simulation.world import SimMember, open_world, paced

Clock = trio.testing.MockClock


class CountedPacer(Pacer):
    """Remembers what was charged."""

    def __init__(self, rate: float) -> None:
        self.charged: list[float] = []
        super().__init__(rate)

    def charge(self, size: float) -> None:
        self.charged.append(size)
        super().charge(size)


class CountedLine(Line):
    """A line with such an uplink."""

    def pacers(self) -> tuple[CountedPacer, None]:
        assert isinstance(self.uplink, int)
        return CountedPacer(self.uplink), None


def test_the_envelope_of_a_block_is_counted_in_full() -> None:
    largest = Block(bytes(16), 2**20 - 1, 60_000, 65_536, b"x" * 4000)
    assert 0 <= BLOCK_ENVELOPE - (len(encode(largest)) - 4000) < 16


async def test_before_it_is_open_nothing_can_be_sent(autojump_clock: Clock, tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        broker = await world.add("broker", Role.BROKER)
        here, _ = trio.testing.memory_stream_pair()
        up = CountedPacer(800_000)
        paced = PacedStream(here, up, None)
        remote = Remote(broker.address, bytes(32))
        channel = Channel(paced, remote, lan=False)
        connection = Connection(
            broker.host.mesh, broker.host, broker.address, channel, dialled=True
        )
        assert connection.paced
        assert not connection.idle
        connection.send_block(Block(bytes(16), 0, 0, 8192, bytes(8192)))
        assert up.charged == []
        connection.send(Ping(0))
        with pytest.raises(LinkClosedError):
            await connection.send_blocks(Block(bytes(16), 0, 0, 1, b"x"))
        with pytest.raises(LinkClosedError):
            await connection.call(Ping(0), timeout=1)


@asynccontextmanager
async def linked(
    folder: Path, line: Line | None = None
) -> AsyncIterator[tuple[SimMember, Connection]]:
    """The broker, and its connection to a member that it is linked with."""
    async with open_world(folder) as world:
        broker = await world.add("broker", Role.BROKER, line=line)
        peer = await world.add("peer")
        await peer.host.mesh.until_linked(broker.address)
        await broker.host.mesh.until_linked(peer.address)
        await trio.sleep(1)
        yield broker, broker.host.mesh.links[peer.address]


def fill(connection: Connection) -> int:
    """Send blocks until one does not leave at once; how many."""
    count = 0
    while connection.idle:
        connection.send_block(Block(bytes(16), 0, 0, 8192, bytes(8192)))
        count += 1
    return count


async def test_a_block_is_charged_before_it_leaves(autojump_clock: Clock, tmp_path: Path) -> None:
    async with linked(tmp_path, CountedLine(uplink=800_000)) as (broker, connection):
        up = broker.host.uplink
        assert isinstance(up, CountedPacer)
        assert connection.paced
        assert connection.idle
        await up.ready()
        up.charged.clear()
        connection.send_block(Block(bytes(16), 0, 0, 8192, bytes(8192)))
        whole = [up.overhead.wire_bytes(8192 + BLOCK_ENVELOPE)]
        assert up.charged == whole
        await trio.testing.wait_all_tasks_blocked()
        assert up.charged == whole  # not charged again when it is written


async def test_the_engine_hears_that_the_next_block_may_come(
    autojump_clock: Clock, tmp_path: Path
) -> None:
    async with linked(tmp_path, paced()) as (broker, connection):
        heard: list[VirtualAddress] = []
        broker.host.engine.uploads.paced.drained = heard.append  # type: ignore[method-assign]
        fill(connection)
        assert heard == []
        await trio.sleep(10)
        assert connection.idle
        assert heard == [connection.member]


async def test_an_unpaced_stream_is_not_paced(autojump_clock: Clock, tmp_path: Path) -> None:
    async with linked(tmp_path) as (_, connection):
        assert not connection.paced
        assert fill(connection) > 1
        assert not connection.idle
