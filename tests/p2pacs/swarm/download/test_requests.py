import contextlib
from pathlib import Path

import trio
import trio.testing

from p2pacs.errors import LinkClosedError
from p2pacs.identity.directory import Role
from p2pacs.wire.messages.messages import Block
from tests.simulation.world import (
    Study,
    open_world,
)

Clock = trio.testing.MockClock


async def test_data_that_nobody_asked_for_is_a_strike(
    autojump_clock: Clock, tmp_path: Path
) -> None:
    async with open_world(tmp_path) as world:
        await world.add("broker", Role.BROKER)
        study = Study(world.key)
        study.grow(8)
        pusher = await world.add("pusher")
        await study.put(pusher.store, range(4))
        hospital = await world.add("hospital")
        hospital.fetch(study, [pusher])
        await trio.sleep(1)
        link = pusher.host.mesh.links[hospital.address]
        block = Block(bytes(study.id), 7, 0, study.chunk, bytes(study.chunk))
        with contextlib.suppress(LinkClosedError):
            for _ in range(64):
                await link.send_blocks(block)
        await trio.sleep(0.2)
        assert hospital.host.mesh.bans.strikes[pusher.address]
