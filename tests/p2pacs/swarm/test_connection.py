from pathlib import Path

import pytest
import trio
import trio.testing

from p2pacs.errors import LinkClosedError
from p2pacs.identity.directory import Role
from p2pacs.swarm.connection import BLOCK_ENVELOPE, Connection
from p2pacs.swarm.paced import PacedStream, Pacer
from p2pacs.swarm.pacing import wire_bytes
from p2pacs.wire.codec import encode
from p2pacs.wire.messages import Block, Ping
from tests.simulation.world import open_world

Clock = trio.testing.MockClock


def test_the_envelope_of_a_block_is_counted_in_full() -> None:
    largest = Block(bytes(16), 2**20 - 1, 60_000, 65_536, b"x" * 4000)
    assert 0 <= BLOCK_ENVELOPE - (len(encode(largest)) - 4000) < 16


async def test_before_it_is_open_nothing_can_be_sent(autojump_clock: Clock, tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        broker = await world.add("broker", Role.BROKER)
        here, _ = trio.testing.memory_stream_pair()
        up = Pacer(800_000)
        paced = PacedStream(here, up, None)
        connection = Connection(broker.host.mesh, broker.address, paced, dialled=True)
        assert connection.paced
        before = up._bucket._tokens
        connection.reserve(8192)
        assert before - up._bucket._tokens == wire_bytes(8192 + BLOCK_ENVELOPE)
        connection.send(Ping(0))
        with pytest.raises(LinkClosedError):
            await connection.send_blocks(Block(bytes(16), 0, 0, 1, b"x"))
        with pytest.raises(LinkClosedError):
            await connection.call(Ping(0), timeout=1)


async def test_an_unpaced_stream_is_not_paced(autojump_clock: Clock, tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        broker = await world.add("broker", Role.BROKER)
        here, _ = trio.testing.memory_stream_pair()
        connection = Connection(broker.host.mesh, broker.address, here, dialled=True)
        connection.reserve(10)
        assert not connection.paced
