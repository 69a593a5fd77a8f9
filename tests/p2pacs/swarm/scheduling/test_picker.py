import time
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from p2pacs.bitfield import Bitfield
from p2pacs.ids import VirtualAddress
from p2pacs.limits import CHUNK_BYTES
from p2pacs.swarm.scheduling.availability import Availability
from p2pacs.swarm.scheduling.picker import TUNING as PICKER
from p2pacs.swarm.scheduling.picker import Picker, PickerTuning, Takeover
from p2pacs.swarm.scheduling.source import Source, Tier

picker = Picker()
SIZE = CHUNK_BYTES


def member(number: int) -> VirtualAddress:
    return VirtualAddress(b"\xfd" + bytes(14) + bytes([number]))


def availability_of(count: int) -> Availability:
    availability = Availability((), b"seed")
    availability.grow([SIZE] * count)
    return availability


def act(availability: Availability, now: float = 0.0) -> dict[VirtualAddress, list[int]]:
    """Plan, and ask as planned."""
    result = {}
    for source, numbers in picker.plan(availability):
        availability.ask(source, numbers, now)
        result[source.address] = numbers
    return result


def with_rate(source: Source, rate: float) -> Source:
    source.meter.value = rate
    return source


def test_the_rarest_come_first() -> None:
    availability = availability_of(20)
    availability.join(member(1), Tier.REPLICA, Bitfield(range(20)))
    availability.join(member(2), Tier.REPLICA, Bitfield(n for n in range(20) if n not in (5, 11)))
    assert set(act(availability)[member(1)][:2]) == {5, 11}


def test_what_somebody_waits_for_comes_before_the_rarest() -> None:
    availability = availability_of(20)
    availability.join(member(1), Tier.REPLICA, Bitfield(range(20)))
    availability.join(member(2), Tier.REPLICA, Bitfield(range(1, 20)))
    availability.prefer([7])
    asked = act(availability)
    assert 7 in (asked[member(1)][0], asked[member(2)][0])


def test_rarity_that_changed_meanwhile_counts() -> None:
    availability = availability_of(3)
    one = availability.join(member(1), Tier.REPLICA, Bitfield(range(3)))
    two = availability.join(member(2), Tier.REPLICA, Bitfield())
    for number in (0, 2):
        availability.gained(two, number)
    numbers, _ = picker._pick(availability, one, 1, set())
    assert numbers == [1]


def test_the_broker_is_asked_only_for_what_nobody_else_has() -> None:
    availability = availability_of(40)
    availability.join(member(1), Tier.ORIGIN, Bitfield(range(40)))
    two = availability.join(member(2), Tier.HOSPITAL, Bitfield(range(38)))
    asked = act(availability)
    assert set(asked[member(1)]) == {38, 39}
    availability.leave(two, 1.0)
    availability.arrived(38, 1.0)
    availability.arrived(39, 1.0)
    assert act(availability)[member(1)]


def test_hospitals_before_replicas() -> None:
    availability = availability_of(1)
    availability.join(member(1), Tier.REPLICA, Bitfield([0]))
    availability.join(member(2), Tier.HOSPITAL, Bitfield([0]))
    assert act(availability) == {member(2): [0]}


def test_depth_is_seconds_of_the_measured_rate() -> None:
    availability = availability_of(1000)
    slow = with_rate(availability.join(member(1), Tier.REPLICA, Bitfield(range(1000))), 10_000)
    fast = with_rate(availability.join(member(2), Tier.REPLICA, Bitfield(range(1000))), 1_000_000)
    act(availability)
    assert slow.asked_bytes == PICKER.depth_chunks * SIZE
    assert 2_000_000 <= fast.asked_bytes < 2_000_000 + SIZE


def test_all_that_is_in_flight_is_bounded() -> None:
    availability = availability_of(4000)
    for number in range(1, 20):
        with_rate(availability.join(member(number), Tier.REPLICA, Bitfield(range(4000))), 1e9)
    act(availability)
    assert availability.asked_bytes <= PICKER.window_bytes + 20 * SIZE


def test_what_is_not_written_yet_counts() -> None:
    availability = availability_of(400)
    availability.join(member(1), Tier.REPLICA, Bitfield(range(400)))
    ((_, numbers),) = picker.plan(availability, unwritten=PICKER.window_bytes)
    assert len(numbers) == 1


def test_near_the_end_nobody_gets_more_than_its_share() -> None:
    availability = availability_of(9)
    for number in (1, 2, 3):
        with_rate(availability.join(member(number), Tier.REPLICA, Bitfield(range(9))), 1e6)
    assert sorted(map(len, act(availability).values())) == [1, 4, 4]


def test_a_slow_source_gets_no_large_share_of_the_end() -> None:
    availability = availability_of(12)
    with_rate(availability.join(member(1), Tier.REPLICA, Bitfield(range(12))), 1e3)
    with_rate(availability.join(member(2), Tier.REPLICA, Bitfield(range(12))), 1e6)
    assert len(act(availability)[member(1)]) <= 2


def test_idle_sources_take_over_what_would_come_last() -> None:
    availability = availability_of(4)
    slow = with_rate(availability.join(member(1), Tier.REPLICA, Bitfield(range(4))), 1e4)
    availability.ask(slow, [0, 1, 2, 3], 0.0)
    fast = with_rate(availability.join(member(2), Tier.REPLICA, Bitfield(range(4))), 1e6)
    assert picker.takeovers(availability) == [Takeover(fast, 3, slow)]


def test_a_chunk_on_its_way_is_asked_twice_at_most() -> None:
    availability = availability_of(1)
    slow = with_rate(availability.join(member(1), Tier.REPLICA, Bitfield([0])), 1e3)
    availability.ask(slow, [0], 0.0)
    fast = with_rate(availability.join(member(2), Tier.REPLICA, Bitfield([0])), 1e6)
    with_rate(availability.join(member(3), Tier.REPLICA, Bitfield([0])), 1e6)
    assert picker.takeovers(availability) == [Takeover(fast, 0, None)]
    availability.ask(fast, [0], 0.0)
    assert picker.takeovers(availability) == []


def test_equals_do_not_take_over_from_each_other() -> None:
    availability = availability_of(1)
    one = with_rate(availability.join(member(1), Tier.REPLICA, Bitfield([0])), 1e5)
    availability.ask(one, [0], 0.0)
    with_rate(availability.join(member(2), Tier.REPLICA, Bitfield([0])), 1e5)
    assert picker.takeovers(availability) == []


def test_patience_grows_with_slowness() -> None:
    availability = availability_of(10)
    slow = with_rate(availability.join(member(1), Tier.REPLICA, Bitfield(range(10))), 1e4)
    fast = with_rate(availability.join(member(2), Tier.REPLICA, Bitfield(range(10))), 1e7)
    availability.ask(slow, [0], 0.0)
    availability.ask(fast, [1], 0.0)
    assert picker.stalled(availability, 1.9) == []
    assert picker.stalled(availability, 3.0) == [fast]
    assert set(picker.stalled(availability, 30.0)) == {fast, slow}


def test_pauses_grow_and_end() -> None:
    source = Source(member(1), Tier.REPLICA, Bitfield())
    first = picker.pause(source)
    source.stalls = 3
    assert picker.pause(source) == first * 8
    source.stalls = 100
    assert picker.pause(source) == PICKER.pause_limit


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_everything_reachable_is_asked_exactly_once(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 60))
    availability = availability_of(count)
    holders = data.draw(st.lists(st.sets(st.integers(0, count - 1)), min_size=1, max_size=5))
    for number, has in enumerate(holders, 1):
        tier = Tier.ORIGIN if number == 1 else Tier(number % 2)
        availability.join(member(number), tier, Bitfield(has))
    asked: Counter[int] = Counter()
    while plan := act(availability):
        for address, numbers in plan.items():
            asked.update(numbers)
            for number in numbers:
                assert number in availability.sources[address].has
                availability.arrived(number, 0.0)
    assert set(asked) == set().union(*holders)
    assert set(asked.values()) <= {1}


def test_the_cost_of_a_chunk_does_not_grow_with_the_study() -> None:
    def cost(count: int) -> float:
        availability = availability_of(count)
        for number in (1, 2, 3):
            with_rate(availability.join(member(number), Tier.REPLICA, Bitfield(range(count))), 1e6)
        begin = time.process_time()
        while plan := act(availability):
            for numbers in plan.values():
                for number in numbers:
                    availability.arrived(number, 0.0)
        assert availability.complete
        return (time.process_time() - begin) / count

    assert cost(32_000) < 10 * cost(2_000)


def test_only_what_comes_over_the_line_waits_for_more_urgent_transfers() -> None:
    availability = availability_of(40)
    availability.join(member(1), Tier.REPLICA, Bitfield(range(40)))
    availability.join(member(2), Tier.REPLICA, Bitfield(range(40)), on_line=False)
    availability.allowance = 0.0
    assert set(act(availability)) == {member(2)}
    availability.allowance = 1.0
    assert len(act(availability)[member(1)]) == 1


def test_what_it_goes_by_can_be_handed_in() -> None:
    availability = availability_of(50)
    availability.join(member(1), Tier.REPLICA, Bitfield(range(50)))
    ((_, numbers),) = Picker(PickerTuning(depth_start=7 * SIZE)).plan(availability)
    assert len(numbers) == 7
