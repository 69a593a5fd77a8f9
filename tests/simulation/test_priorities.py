"""Classes of priority: what an emergency gets of every uplink, how soon, and what others pay."""

from collections.abc import Sequence

import pytest
import trio

from p2pacs.swarm.download.transfer import Transfer
from p2pacs.swarm.scheduling.downlink_share import TUNING as DOWNLINK
from p2pacs.swarm.scheduling.priority import Priority
from tests.simulation.scenario import Plan, Swarm, simulate
from tests.simulation.world import SimMember, Study, fetched

SOON = 2.0
"""Seconds after which an emergency has the uplinks."""


def begin(
    member: SimMember, study: Study, holders: Sequence[SimMember], priority: Priority
) -> Transfer:
    addresses = [holder.address for holder in holders]
    return member.host.engine.downloads.fetch(study.id, addresses, None, priority)


async def shares(
    sources: Sequence[SimMember], receiver: SimMember, seconds: float
) -> list[tuple[float, float]]:
    """Of each uplink from now on: the part that a receiver gets, and bytes a second in all."""
    before = [dict(source.host.engine.uploads.bytes_sent) for source in sources]
    await trio.sleep(seconds)
    result = []
    for source, old in zip(sources, before, strict=True):
        sent = source.host.engine.uploads.bytes_sent
        total = sum(sent.values()) - sum(old.values())
        gained = sent.get(receiver.address, 0) - old.get(receiver.address, 0)
        result.append((gained / max(total, 1), total / seconds))
    return result


async def another(
    swarm: Swarm, megabytes: float, holders: Sequence[SimMember] | None = None
) -> Study:
    """A further study that the replicas, or some of them, have."""
    study = Study(swarm.world.key, 99, chunk=swarm.plan.chunk)
    study.grow(round(megabytes * 1_000_000 / study.chunk))
    for replica in holders or swarm.replicas:
        await study.put(replica.store)
    return study


def background(swarm: Swarm, members: Sequence[SimMember]) -> list[Transfer]:
    """These fetch the swarm's study for nobody who waits."""
    return [
        begin(member, swarm.study, swarm.holders(member), Priority.BACKGROUND) for member in members
    ]


async def complete(transfers: Sequence[Transfer]) -> None:
    for transfer in transfers:
        await transfer.wait_complete()


@pytest.mark.parametrize("low", [1, 4, 12])
def test_an_emergency_has_every_uplink_within_two_seconds(low: int) -> None:
    async def story(swarm: Swarm) -> None:
        urgent = await another(swarm, 3)
        *others, hurt = swarm.members
        transfers = background(swarm, others)
        await trio.sleep(8)
        stat = begin(hurt, urgent, swarm.replicas, Priority.STAT)
        await trio.sleep(SOON)
        for part, rate in await shares(swarm.replicas, hurt, 5):
            assert part > 0.9
            assert rate > 0.95 * swarm.plan.up
        await stat.wait_complete()
        await fetched(hurt, urgent)
        await trio.sleep(1)
        for part, rate in await shares(swarm.replicas, hurt, 3):
            assert part == 0
            assert rate > 0.9 * swarm.plan.up
        await complete(transfers)

    simulate(Plan(members=low + 1, megabytes=6), story)


def test_an_emergency_of_the_same_study_has_the_uplinks_of_all_who_have_some_of_it() -> None:
    async def story(swarm: Swarm) -> None:
        *others, hurt = swarm.members
        transfers = background(swarm, others)
        await trio.sleep(12)
        stat = begin(hurt, swarm.study, swarm.holders(hurt), Priority.STAT)
        await trio.sleep(SOON)
        lines = await shares([*swarm.replicas, *others], hurt, 3)
        # a line carries nine to thirteen chunks meanwhile: one or two may have been under way
        assert all(part > 0.75 for part, _ in lines)
        assert sum(part for part, _ in lines) > 0.95 * len(lines)
        assert all(rate > 0.9 * swarm.plan.up for _, rate in lines)
        await stat.wait_complete()
        await complete(transfers)

    simulate(Plan(members=4, megabytes=6, down=2_000_000), story)


def test_an_emergency_costs_the_others_what_it_takes() -> None:
    plan = Plan(members=4, megabytes=4)

    def seconds(*, urgent_too: bool) -> float:
        ends: list[float] = []

        async def story(swarm: Swarm) -> None:
            urgent = await another(swarm, 2)
            *others, hurt = swarm.members
            transfers = background(swarm, others)
            await trio.sleep(5)
            if urgent_too:
                transfers.append(begin(hurt, urgent, swarm.replicas, Priority.STAT))
            await complete(transfers)
            ends.append(trio.current_time())

        simulate(plan, story)
        return ends[0]

    # the members exchange what they have meanwhile, so it costs no more than its bytes
    assert seconds(urgent_too=True) < seconds(urgent_too=False) + 2_000_000 / (3 * plan.up) + 1


def test_a_transfer_that_becomes_urgent_is_served_first() -> None:
    async def story(swarm: Swarm) -> None:
        urgent = await another(swarm, 4)
        *others, hurt = swarm.members
        transfers = background(swarm, others)
        stat = begin(hurt, urgent, swarm.replicas, Priority.BACKGROUND)
        await trio.sleep(8)
        stat.prioritise(Priority.STAT)
        await trio.sleep(SOON)
        assert all(part > 0.9 for part, _ in await shares(swarm.replicas, hurt, 3))
        stat.prioritise(Priority.BACKGROUND)
        await trio.sleep(SOON)
        assert all(part < 0.6 for part, _ in await shares(swarm.replicas, hurt, 3))
        await complete([*transfers, stat])

    simulate(Plan(members=4, megabytes=5), story)


@pytest.mark.parametrize(
    ("high", "low"),
    [
        (Priority.STAT, Priority.INTERACTIVE),
        (Priority.INTERACTIVE, Priority.PREFETCH),
        (Priority.PREFETCH, Priority.BACKGROUND),
    ],
)
def test_every_class_comes_before_the_next(high: Priority, low: Priority) -> None:
    async def story(swarm: Swarm) -> None:
        one, other = swarm.members
        later = begin(one, swarm.study, swarm.replicas, low)
        await trio.sleep(3)
        first = begin(other, swarm.study, swarm.replicas, high)
        await trio.sleep(SOON)
        assert all(part > 0.9 for part, _ in await shares(swarm.replicas, other, 2))
        await complete([first, later])

    simulate(Plan(members=2, megabytes=3), story)


def test_two_emergencies_share() -> None:
    async def story(swarm: Swarm) -> None:
        transfers = [
            begin(member, swarm.study, swarm.replicas, Priority.STAT) for member in swarm.members
        ]
        await trio.sleep(2)
        for part, _ in await shares(swarm.replicas, swarm.members[0], 4):
            assert 0.3 < part < 0.7
        await complete(transfers)

    simulate(Plan(members=2, megabytes=3), story)


RATE = 100_000.0
"""Bytes a second of an uplink."""

LONG = 8.0
"""Seconds for which it is looked at."""

NARROW = Plan(members=1, replicas=8, megabytes=4, up=RATE, down=3 * RATE)
"""One hospital whose line down is what is scarce."""


async def received(sources: Sequence[SimMember], receiver: SimMember, seconds: float) -> float:
    """Bytes a second that these send to a receiver from now on."""
    parts = await shares(sources, receiver, seconds)
    return sum(part * rate for part, rate in parts)


def test_an_emergency_has_the_line_down_of_its_own_hospital() -> None:
    async def story(swarm: Swarm) -> None:
        (hurt,) = swarm.members
        some, others = swarm.replicas[:4], swarm.replicas[4:]
        urgent = await another(swarm, 4, some)
        later = begin(hurt, swarm.study, others, Priority.BACKGROUND)
        await trio.sleep(3)
        # in one second there are nine chunks at most, so that one less is a tenth
        assert await received(others, hurt, 2) > 0.9 * NARROW.down
        stat = begin(hurt, urgent, some, Priority.STAT)
        await trio.sleep(SOON)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_at_most, others, hurt, 0.1 * NARROW.down)
            assert await received(some, hurt, LONG) > 0.9 * NARROW.down
        await stat.wait_complete()
        await trio.sleep(3)
        assert await received(others, hurt, 2) > 0.9 * NARROW.down
        await complete([later])

    simulate(NARROW, story)


async def _at_most(sources: Sequence[SimMember], receiver: SimMember, rate: float) -> None:
    assert await received(sources, receiver, LONG) < rate


def test_an_emergency_that_leaves_room_on_its_own_line_holds_nobody_back() -> None:
    async def story(swarm: Swarm) -> None:
        (hurt,) = swarm.members
        (one, *others) = swarm.replicas
        urgent = await another(swarm, 2, [one])
        later = begin(hurt, swarm.study, others, Priority.BACKGROUND)
        await trio.sleep(4)
        stat = begin(hurt, urgent, [one], Priority.STAT)
        await trio.sleep(DOWNLINK.first_seconds + 1)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_at_least, others, hurt, 0.6 * (NARROW.down - RATE))
            assert await received([one], hurt, LONG) > 0.9 * RATE
        await complete([stat, later])

    simulate(NARROW, story)


async def _at_least(sources: Sequence[SimMember], receiver: SimMember, rate: float) -> None:
    assert await received(sources, receiver, LONG) > rate
