from pathlib import Path

import pytest
import structlog
import trio
import trio.testing

from p2pacs.errors import AuthenticationError, LinkClosedError, P2PacsError, RevokedError
from p2pacs.identity.directory import Role
from tests.peer import world as peers
from tests.simulation.world import SimMember, Study, adsl, open_world, paced, replicas
from tests.waiting import eventually

Clock = trio.testing.MockClock


async def test_both_dial_at_once_and_one_link_stays(autojump_clock: Clock, tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        one = await world.add("one", Role.BROKER)
        two = await world.add("two")
        await two.host.mesh.until_linked(one.address)
        three = await world.add("three")

        async def dial(here: SimMember, there: SimMember) -> None:
            await here.host.mesh.connect(there.address)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(dial, two, three)
            nursery.start_soon(dial, three, two)
        await trio.sleep(20)
        assert two.host.mesh.links[three.address].dialled
        assert not three.host.mesh.links[two.address].dialled
        assert len([c for c in two.host.mesh.connections if c.member == three.address]) == 1


async def test_requests_survive_that_both_dialled_at_once(
    autojump_clock: Clock, tmp_path: Path
) -> None:
    async with open_world(tmp_path) as world:
        await world.add("broker", Role.BROKER)
        study, other = Study(world.key, 1), Study(world.key, 2)
        for each in (study, other):
            each.grow(32)
        two = await world.add("two", nic=adsl(), line=paced())
        three = await world.add("three", nic=adsl(), line=paced())
        await study.put(two.store)
        await other.put(three.store)
        start = trio.current_time()
        transfers = [three.fetch(study, [two]), two.fetch(other, [three])]
        for transfer in transfers:
            await transfer.wait_complete()
        assert trio.current_time() - start < 1.25 * 32 * study.chunk / 100_000


async def test_a_revoked_member_is_out_at_once(autojump_clock: Clock, tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.add("broker", Role.BROKER)
        study = Study(world.key)
        study.grow(64)
        sources = await replicas(world, study, 1)
        hospital = await world.add("hospital", nic=adsl(), line=paced())
        transfer = hospital.fetch(study, sources)
        await trio.sleep(3)
        world.revoke(hospital)
        await trio.sleep(1)
        assert hospital.address not in sources[0].host.mesh.links
        held = len(transfer.have)
        await trio.sleep(20)
        assert hospital.address not in sources[0].host.mesh.links
        assert len(transfer.have) <= held + 1


async def test_a_refused_link_is_told_once_however_often_it_is_dialled(tmp_path: Path) -> None:
    async with peers.open_world(tmp_path) as world:
        mesh = (await world.add("hospital")).host.mesh
        (broker,) = mesh.brokers
        await mesh.until_linked(broker)
        with structlog.testing.capture_logs() as logs:
            world.revoke("hospital")
            await eventually(lambda: broker not in mesh.links)
            for _ in range(4):
                with pytest.raises(RevokedError):
                    await mesh.connect(broker)
    here = [one for one in logs if one["event"] == "link refused" and one["member"] == "broker"]
    assert len(here) == len({one["why"] for one in here}) > 0


async def test_a_key_that_was_replaced_loses_its_links_everywhere_at_once(
    autojump_clock: Clock, tmp_path: Path
) -> None:
    async with open_world(tmp_path) as world:
        broker = await world.add("broker", Role.BROKER)
        study = Study(world.key)
        study.grow(64)
        sources = await replicas(world, study, 2)
        lost = await world.add("lost machine", nic=adsl(), line=paced())
        transfer = lost.fetch(study, sources)
        await trio.sleep(3)
        others = [broker, *sources]
        assert all(lost.address in other.host.mesh.links for other in others)
        held = len(transfer.have)
        world.rekey(lost)
        assert not any(lost.address in other.host.mesh.links for other in others)
        await trio.sleep(3)  # it was told, and the connections are closed
        assert not any(
            connection.member == lost.address
            for other in others
            for connection in other.host.mesh.connections
        )
        await trio.sleep(60)  # and however often it dials, it is not let in
        assert not any(lost.address in other.host.mesh.links for other in others)
        assert len(transfer.have) <= held + 1
        with pytest.raises(AuthenticationError, match="key that is not in the directory"):
            await sources[0].host.mesh.connect(lost.address)


async def test_nothing_is_dialled_while_the_mesh_stops(
    autojump_clock: Clock, tmp_path: Path
) -> None:
    async with open_world(tmp_path) as world:
        broker = await world.add("broker", Role.BROKER)
        hospital = await world.add("hospital")
        other = await world.add("other")
        mesh = hospital.host.mesh
        told: list[P2PacsError] = []

        async def late() -> None:
            try:
                await trio.sleep_forever()
            finally:  # the mesh is being stopped, and has not ended yet
                with trio.CancelScope(shield=True):
                    try:
                        await mesh.connect(other.address)
                    except P2PacsError as error:
                        told.append(error)

        await mesh.until_linked(broker.address)
        assert mesh._nursery is not None
        mesh._nursery.start_soon(late)
        await trio.sleep(1)
        hospital.kill()
        await trio.sleep(1)
        assert [type(error) for error in told] == [LinkClosedError]
