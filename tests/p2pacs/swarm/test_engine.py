from pathlib import Path

import trio
import trio.testing

from p2pacs.identity.directory import Role
from p2pacs.limits import STUDY_CHUNKS
from p2pacs.wire.messages.messages import Have, Join
from tests.simulation.world import Study, adsl, fetched, open_world, paced, replicas

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


async def test_announcing_the_same_over_and_over_is_a_strike(
    autojump_clock: Clock, tmp_path: Path
) -> None:
    async with open_world(tmp_path) as world:
        broker = await world.add("broker", Role.BROKER)
        study = Study(world.key)
        study.grow(4)
        await study.put(broker.store)
        noisy = await world.add("noisy")
        await noisy.host.mesh.until_linked(broker.address)
        link = noisy.host.mesh.links[broker.address]
        link.send(Have(bytes(study.id), [(0, 1)]))  # without Join
        await trio.sleep(2)
        link = noisy.host.mesh.links[broker.address]
        link.send(Join(bytes(study.id), 1, b"", True, 2, False))
        for _ in range(3):
            link.send(Have(bytes(study.id), [(0, STUDY_CHUNKS)]))
        await trio.sleep(0.2)
        assert len(broker.host.mesh.bans.strikes[noisy.address]) == 2


async def test_who_joins_late_hears_what_came_since_it_was_told(
    autojump_clock: Clock, tmp_path: Path
) -> None:
    async with open_world(tmp_path) as world:
        await world.add("broker", Role.BROKER)
        study = Study(world.key)
        study.grow(32)
        [origin] = await replicas(world, study, 1)
        early, late = [await world.add(name, nic=adsl(), line=paced()) for name in ("one", "two")]
        early.fetch(study, [origin, late])  # tells the late one that it has nothing
        await trio.sleep(8)
        held = set((await early.store.study(study.id)).have)
        assert len(held) > 10
        late.fetch(study, [early, origin])
        await trio.sleep(0.5)
        swarm = late.host.engine.swarms.get(study.id)
        assert swarm is not None
        assert held <= set(swarm.partners[early.address].has)


async def test_a_study_that_is_withheld_is_given_to_nobody_until_it_is_given_again(
    autojump_clock: Clock, tmp_path: Path
) -> None:
    async with open_world(tmp_path) as world:
        await world.add("broker", Role.BROKER)
        study = Study(world.key)
        study.grow(64)
        [origin] = await replicas(world, study, 1)
        early, late = [await world.add(name, nic=adsl(), line=paced()) for name in ("one", "two")]
        under_way = early.fetch(study, [origin])
        await trio.sleep(8)
        assert 0 < under_way.bytes_held < under_way.bytes_total
        origin.host.engine.withhold(study.id)
        await trio.sleep(2)  # what was on the line still comes
        held = under_way.bytes_held
        fresh = late.fetch(study, [origin])
        await trio.sleep(20)
        assert (under_way.bytes_held, fresh.bytes_held) == (held, 0)
        origin.host.engine.give(study.id)
        origin.host.engine.give(study.id)
        await early.fetch(study, [origin]).wait_complete()
        await late.fetch(study, [origin]).wait_complete()
        await fetched(late, study)
