from pathlib import Path

import trio
import trio.testing

from p2pacs.identity.directory import Role
from tests.simulation.world import Study, fetched, open_world

Clock = trio.testing.MockClock


async def test_a_dropped_study_is_no_longer_served(autojump_clock: Clock, tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        broker = await world.add("broker", Role.BROKER)
        study = Study(world.key)
        study.grow(8)
        await study.put(broker.store)
        one, two = await world.add("one"), await world.add("two")
        await one.fetch(study, []).wait_complete()
        await one.store.drop(study.id)
        one.host.engine.dropped(study.id)
        transfer = two.fetch(study, [one])
        await transfer.wait_complete()
        assert {a for a, s in transfer.sources.items() if s.bytes} == {broker.address}
        again = one.fetch(study, [two])
        await again.wait_complete()
        await fetched(one, study)
