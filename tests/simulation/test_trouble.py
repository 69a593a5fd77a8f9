"""Swarms in which something goes wrong: who has nothing to do with it is hardly later."""

from functools import cache

import trio
from attrs import evolve

from p2pacs.swarm.scheduling.picker import TUNING as PICKER
from tests.simulation.scenario import Plan, Swarm, simulate
from tests.simulation.world import SimMember

PLAN = Plan(members=5, megabytes=3)


@cache
def untroubled() -> Swarm:
    """The same without trouble."""
    return simulate(PLAN, Swarm.fetch_all).swarm


async def others(swarm: Swarm, *without: SimMember) -> float:
    """Has all others finish; seconds of the last of them."""
    rest = [member for member in swarm.members if member not in without]
    await swarm.finished(*rest)
    return max(swarm.done[member.address] for member in rest)


def test_a_slow_uplink_costs_what_it_lacks() -> None:
    async def story(swarm: Swarm) -> None:
        swarm.replicas[0].nic.up /= 5
        await swarm.fetch_all()

    swarm = simulate(PLAN, story).swarm
    assert swarm.ratio < 1.15
    assert swarm.wire_over_payload < 1.03


def test_a_silent_origin_costs_seconds() -> None:
    async def story(swarm: Swarm) -> None:
        for member in swarm.members:
            swarm.fetch(member)
        await trio.sleep(5)
        swarm.replicas[0].freeze()
        await swarm.finished(*swarm.members)

    swarm = simulate(PLAN, story).swarm
    start = untroubled().last - untroubled().fluid
    assert swarm.last < without(swarm, 1, at=5) + start + 3


def without(swarm: Swarm, uplinks: int, *, at: float) -> float:
    """When all would be done if so many uplinks were gone from this time on."""
    count = len(swarm.members) + len(swarm.replicas)
    rate = swarm.plan.up
    return at + (len(swarm.members) * swarm.total - at * count * rate) / ((count - uplinks) * rate)


def test_a_silent_member_costs_seconds() -> None:
    async def story(swarm: Swarm) -> None:
        for member in swarm.members:
            swarm.fetch(member)
        await trio.sleep(5)
        swarm.members[0].freeze()
        await others(swarm, swarm.members[0])

    assert simulate(PLAN, story).swarm.last < untroubled().last + 4


def test_a_crash_costs_what_was_carried() -> None:
    async def story(swarm: Swarm) -> None:
        for member in swarm.members:
            swarm.fetch(member)
        await trio.sleep(5)
        swarm.replicas[0].kill()
        await swarm.finished(*swarm.members)

    swarm = simulate(PLAN, story).swarm
    start = untroubled().last - untroubled().fluid
    assert swarm.last < without(swarm, 1, at=5) + start + 1


def test_who_crashes_goes_on_where_it_was() -> None:
    async def story(swarm: Swarm) -> None:
        victim = swarm.members[0]
        for member in swarm.members:
            swarm.fetch(member)
        await trio.sleep(6)
        victim.kill()
        held = len((await victim.store.study(swarm.study.id)).have)
        received = victim.nic.received
        await trio.sleep(1)
        await victim.start()
        again = swarm.fetch(victim)
        await swarm.finished(*swarm.members)
        missing = swarm.total - held * swarm.study.chunk
        assert held > 3
        assert again.bytes_received == missing
        assert victim.nic.received - received < missing * 1.02 + 256 * 1024

    simulate(PLAN, story)


def test_a_line_that_drops_for_half_a_minute_asks_nothing_twice() -> None:
    async def story(swarm: Swarm) -> None:
        victim = swarm.members[0]
        for member in swarm.members:
            swarm.fetch(member)
        await trio.sleep(5)
        victim.freeze()
        await trio.sleep(30)
        victim.thaw()
        await swarm.finished(*swarm.members)
        links = len(swarm.members) + len(swarm.replicas) - 1
        assert victim.nic.received < swarm.total * 1.02 + links * 256 * 1024

    swarm = simulate(PLAN, story).swarm
    assert swarm.last < untroubled().last + 30 + 5


def test_an_address_that_changes_asks_nothing_twice() -> None:
    """All connections break at once, and are made anew: as after a new lease, or a new line."""

    async def story(swarm: Swarm) -> None:
        victim = swarm.members[0]
        for member in swarm.members:
            swarm.fetch(member)
        for _ in range(3):
            await trio.sleep(5)
            for stream in victim.streams:
                stream.cut()
        await swarm.finished(*swarm.members)
        assert victim.nic.received < swarm.total * 1.02 + 3 * PICKER.flight_bytes

    swarm = simulate(PLAN, story).swarm
    assert swarm.last < untroubled().last + 3 * 3


def test_a_late_joiner_is_served_and_costs_the_others_little() -> None:
    async def story(swarm: Swarm) -> None:
        *early, late = swarm.members
        for member in early:
            swarm.fetch(member)
        await trio.sleep(10)
        swarm.fetch(late)
        await swarm.finished(*swarm.members)

    # One run's time for the late one is 1.19 to 1.40 times the least, by the order of events alone
    # (20 seeds, 1.28 on the average): a single one would tell of luck.
    swarms = [simulate(evolve(PLAN, seed=seed), story).swarm for seed in (1, 2, 3, 4)]
    for swarm in swarms:
        early = [swarm.done[member.address] for member in swarm.members[:-1]]
        assert max(early) < 1.15 * untroubled().last  # the line is shared with one who lacks more
    late = sum(swarm.done[swarm.members[-1].address] for swarm in swarms) / len(swarms)
    assert late < 1.35 * max(swarms[0].total / PLAN.down, untroubled().last - 10)


def test_members_that_leave_cost_only_what_they_carried() -> None:
    async def story(swarm: Swarm) -> None:
        leaving = swarm.members[:2]
        for member in swarm.members:
            swarm.fetch(member)
        await trio.sleep(8)
        for member in leaving:
            swarm.transfers[member.address].cancel()
        await others(swarm, *leaving)

    swarm = simulate(PLAN, story).swarm
    assert swarm.last < untroubled().last * 1.05
    assert swarm.wire_over_payload * 3 < 5.1


def test_who_was_done_and_goes_on_serving_is_used() -> None:
    async def story(swarm: Swarm) -> None:
        first, *rest = swarm.members
        swarm.fetch(first)
        await swarm.finished(first)
        for member in rest:
            swarm.fetch(member)
        await swarm.finished(*rest)

    swarm = simulate(Plan(members=3, replicas=1, megabytes=2), story).swarm
    rest = max(swarm.done[member.address] for member in swarm.members[1:])
    uplinks = 4 * swarm.plan.up
    assert rest < 1.3 * 2 * swarm.total / uplinks


def test_a_slot_that_is_freed_is_offered_again() -> None:
    """One origin, two members: when the first has all, the other gets the whole line."""

    async def story(swarm: Swarm) -> None:
        one, other = swarm.members
        swarm.fetch(one)
        await trio.sleep(2)
        swarm.fetch(other)
        await trio.sleep(4)
        swarm.transfers[one.address].cancel()
        before = other.nic.received
        await trio.sleep(6)
        assert other.nic.received - before > 0.95 * 6 * swarm.plan.up
        await swarm.finished(other)

    simulate(Plan(members=2, replicas=1, megabytes=2), story)


def test_nobody_waits_for_an_answer_that_never_comes() -> None:
    """A member that dies between an offer and its answer holds no part of the line."""

    async def story(swarm: Swarm) -> None:
        one, other = swarm.members
        for member in swarm.members:
            swarm.fetch(member)
        await trio.sleep(3)
        one.freeze()
        await trio.sleep(4)
        before = other.nic.received
        await trio.sleep(6)
        assert other.nic.received - before > 0.95 * 6 * swarm.plan.up
        await swarm.finished(other)

    simulate(Plan(members=2, replicas=1, megabytes=3), story)


def test_loss_costs_little_more_than_what_is_lost() -> None:
    swarm = simulate(Plan(members=8, megabytes=4, loss=0.01), Swarm.fetch_all).swarm
    assert swarm.ratio < 1.12
    assert swarm.wire_over_payload < 1.04
