from itertools import pairwise
from pathlib import Path

import trio
import trio.testing

from p2pacs.concurrency.signals import Watch
from p2pacs.errors import RevokedError
from p2pacs.identity.directory import Role
from p2pacs.ids import VirtualAddress
from p2pacs.mesh.held_links import TUNING, HeldLinks
from tests.simulation.world import open_world

Clock = trio.testing.MockClock

MEMBER = VirtualAddress(b"\xfd" + bytes(15))


async def test_who_was_wanted_before_is_dialled_until_nobody_wants_it(
    autojump_clock: Clock,
) -> None:
    dialled: list[float] = []

    async def dial(_member: VirtualAddress) -> bool:
        dialled.append(trio.current_time())
        return False

    held = HeldLinks((), Watch(), dial, lambda _: False, is_revoked_at=lambda _: False, seed=b"")
    held.keep(MEMBER)
    held.keep(MEMBER)
    async with trio.open_nursery() as nursery:
        await nursery.start(held.run)
        await trio.sleep(100)
        pauses = [later - sooner for sooner, later in pairwise(dialled)]
        assert pauses[0] <= 1.2 * TUNING.retry_seconds
        assert 0.8 * TUNING.retry_limit <= pauses[-1] <= 1.2 * TUNING.retry_limit
        held.release(MEMBER)
        await trio.sleep(100)
        assert trio.current_time() - dialled[-1] < 1.2 * TUNING.retry_limit
        held.release(MEMBER)
        ended = len(dialled)
        await trio.sleep(100)
        assert len(dialled) == ended
        nursery.cancel_scope.cancel()


async def test_who_is_revoked_is_soon_dialling_every_few_minutes_alone(
    autojump_clock: Clock,
) -> None:
    dialled: list[float] = []
    revoked = True

    async def dial(_member: VirtualAddress) -> bool:
        dialled.append(trio.current_time())
        return False

    held = HeldLinks((), Watch(), dial, lambda _: True, is_revoked_at=lambda _: revoked, seed=b"")
    held.keep(MEMBER)
    async with trio.open_nursery() as nursery:
        await nursery.start(held.run)
        await trio.sleep(24 * 3600)
        assert dialled[1] - dialled[0] <= 1.2 * TUNING.retry_seconds
        assert dialled[-1] - dialled[-2] >= 0.8 * TUNING.revoked_retry_limit
        revoked = False  # an administrator registered it anew
        await trio.sleep(2 * TUNING.revoked_retry_limit)
        assert dialled[-1] - dialled[-2] <= 1.2 * TUNING.broker_retry_limit
        nursery.cancel_scope.cancel()


async def test_a_hospital_that_is_revoked_leaves_the_broker_alone(
    autojump_clock: Clock, tmp_path: Path
) -> None:
    async with open_world(tmp_path) as world:
        broker = await world.add("broker", Role.BROKER)
        hospital = await world.add("hospital")
        await hospital.host.mesh.until_linked(broker.address)
        before = hospital.dials
        world.revoke(hospital)
        await trio.sleep(3600)
        assert isinstance(hospital.host.mesh.refused[broker.address], RevokedError)
        assert hospital.dials - before < 30


async def test_the_line_that_was_down_is_dialled_again(
    autojump_clock: Clock, tmp_path: Path
) -> None:
    async with open_world(tmp_path) as world:
        broker = await world.add("broker", Role.BROKER)
        hospital = await world.add("hospital")
        await hospital.host.mesh.until_linked(broker.address)
        broker.kill()
        await trio.sleep(120)
        assert broker.address not in hospital.host.mesh.links
        assert hospital.dials < 60
        await broker.start()
        with trio.fail_after(4):
            await hospital.host.mesh.until_linked(broker.address)


async def test_another_member_that_is_away_is_dialled_ever_less_often(
    autojump_clock: Clock, tmp_path: Path
) -> None:
    async with open_world(tmp_path) as world:
        await world.add("broker", Role.BROKER)
        away = await world.add("away", Role.REPLICA)
        hospital = await world.add("hospital")
        await hospital.host.mesh.until_linked(away.address)
        away.kill()
        await trio.sleep(1)
        before = hospital.dials
        await trio.sleep(120)
        assert hospital.dials - before < 12


async def test_who_needs_a_link_does_not_wait_for_the_next_try(
    autojump_clock: Clock, tmp_path: Path
) -> None:
    async with open_world(tmp_path) as world:
        broker = await world.add("broker", Role.BROKER)
        hospital = await world.add("hospital")
        mesh = hospital.host.mesh
        await mesh.until_linked(broker.address)
        broker.kill()
        await trio.sleep(200)  # by now it is tried every three seconds
        await broker.start()
        mesh.held.keep(broker.address)
        with trio.fail_after(0.1):
            await mesh.until_linked(broker.address)
        broker.kill()
        await trio.sleep(200)
        mesh.held.keep(broker.address)  # still away: nothing happens
        await trio.sleep(1)
        assert broker.address not in mesh.links
