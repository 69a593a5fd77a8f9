from pathlib import Path

import trio
import trio.testing

from p2pacs.identity.directory import Role
from tests.simulation.world import Study, adsl, open_world, paced

Clock = trio.testing.MockClock


async def test_the_broker_gives_only_what_nobody_else_has(
    autojump_clock: Clock, tmp_path: Path
) -> None:
    async with open_world(tmp_path) as world:
        broker = await world.add("broker", Role.BROKER)
        study = Study(world.key)
        study.grow(40)
        await study.put(broker.store)
        replica = await world.add("replica", Role.REPLICA, nic=adsl(), line=paced())
        await study.put(replica.store, range(38))
        hospital = await world.add("hospital")
        await hospital.host.mesh.connect(replica.address)
        await hospital.host.mesh.connect(broker.address)
        transfer = hospital.fetch(study, [replica])
        await transfer.wait_complete()
        given = transfer.sources[broker.address].bytes // study.chunk
        assert given == 2
