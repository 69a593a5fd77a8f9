"""What is chosen of a source that offers its line, and what it takes over near the end."""

import math
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pacs.bitfield import Bitfield
from p2pacs.ids import VirtualAddress
from p2pacs.limits import CHUNK_BYTES
from p2pacs.swarm.scheduling.availability import Availability
from p2pacs.swarm.scheduling.picker import TUNING as PICKER
from p2pacs.swarm.scheduling.picker import Picker, Takeover
from p2pacs.swarm.scheduling.source import Source, Tier
from p2pacs.swarm.scheduling.viewport import LOOK_CHUNKS

picker = Picker()
SIZE = CHUNK_BYTES


def member(number: int) -> VirtualAddress:
    return VirtualAddress(b"\xfd" + bytes(14) + bytes([number]))


def availability_of(count: int, size: int = SIZE) -> Availability:
    availability = Availability((), b"seed")
    availability.grow([size] * count)
    return availability


def offering(
    availability: Availability,
    number: int,
    has: Bitfield,
    *,
    tier: Tier = Tier.REPLICA,
    rate: float = 0.0,
) -> Source:
    source = availability.join(member(number), tier, has, offers=True)
    source.meter.value = rate
    return source


# ---------------------------------------------------------------- answers


@settings(max_examples=150)
@given(st.data())
def test_an_answer_is_of_what_is_there_and_wanted(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 40))
    numbers = st.integers(0, count - 1)
    availability = availability_of(count, 100)
    one = offering(availability, 1, Bitfield(data.draw(st.sets(numbers))), tier=data.draw(tiers))
    two = offering(availability, 2, Bitfield(data.draw(st.sets(numbers))))
    availability.ask(two, sorted(data.draw(st.sets(numbers)) & set(two.has)), 0.0)
    availability.prefer(data.draw(st.sets(numbers, max_size=3)))
    availability.look(data.draw(st.lists(numbers, max_size=20)))
    chunks = data.draw(st.integers(1, 9))
    chosen = picker.answer(availability, one, chunks, data.draw(st.lists(st.integers(0, 50))))
    assert len(chosen) == len(set(chosen)) <= chunks
    assert all(number in one.has and availability.wanted(number) for number in chosen)


rates = st.floats(0, 5000)
tiers = st.sampled_from(Tier)
rates = st.floats(0, 5000)


@settings(max_examples=100)
@given(st.data())
def test_offers_bring_everything_exactly_once(data: st.DataObject) -> None:
    """Whatever is advised, whoever offers, whatever is looked at."""
    count = data.draw(st.integers(1, 40))
    numbers = st.integers(0, count - 1)
    availability = availability_of(count, 100)
    holders = data.draw(st.lists(st.sets(numbers), min_size=1, max_size=4))
    sources = [offering(availability, n, Bitfield(has)) for n, has in enumerate(holders, 1)]
    asked: Counter[int] = Counter()
    empty = 0
    while empty < len(sources):
        for source in sources:
            if data.draw(st.booleans()):
                availability.look(data.draw(st.lists(numbers, max_size=5)))
            hints = data.draw(st.lists(numbers, max_size=3))
            chosen = picker.answer(availability, source, data.draw(st.integers(1, 3)), hints)
            availability.ask(source, chosen, 0.0)
            asked.update(chosen)
            empty = 0 if chosen else empty + 1
            for number in chosen:
                availability.arrived(number, 0.0)
    assert set(asked) == set().union(*holders)
    assert set(asked.values()) <= {1}


def test_advice_comes_first_then_the_rarest() -> None:
    availability = availability_of(20)
    one = offering(availability, 1, Bitfield(range(20)), rate=1e6)
    offering(availability, 2, Bitfield(n for n in range(20) if n not in (5, 11)))
    chosen = picker.answer(availability, one, 4, [3, 3, 7, 99])
    assert chosen[:2] == [3, 7]
    assert set(chosen[2:]) == {5, 11}


def test_of_what_is_advised_the_rarest_comes_first() -> None:
    availability = availability_of(20)
    one = offering(availability, 1, Bitfield(range(20)))
    offering(availability, 2, Bitfield([3]))
    assert picker.answer(availability, one, 1, [3, 7]) == [7]


def test_what_somebody_waits_for_comes_before_advice() -> None:
    availability = availability_of(20)
    one = offering(availability, 1, Bitfield(range(20)))
    availability.prefer([9])
    assert picker.answer(availability, one, 1, [3, 7]) == [9]


def test_what_is_looked_at_comes_before_advice_and_the_rarest() -> None:
    availability = availability_of(40)
    one = offering(availability, 1, Bitfield(range(40)), rate=1e6)
    offering(availability, 2, Bitfield(range(20)))  # 20 to 39 are rarer
    availability.look([4, 2, 8])
    assert set(picker.answer(availability, one, 6, [30, 31])) == {2, 4, 8}


def test_the_rarest_of_the_window_come_first() -> None:
    availability = availability_of(100, 100)
    one = offering(availability, 1, Bitfield(range(100)), rate=1e6)
    offering(availability, 2, Bitfield(n for n in range(100) if n not in (5, 11, 60)))
    availability.look(range(100))
    rarest = picker.answer(availability, one, 4, [])
    assert set(rarest) == {5, 11}
    for number in rarest:
        availability.ask(one, [number], 0.0)
        availability.arrived(number, 0.0)
    rest = picker.answer(availability, one, 2 * (LOOK_CHUNKS - 2), [])
    assert set(rest) == set(range(LOOK_CHUNKS)) - {5, 11}


def test_advice_of_the_window_comes_before_the_rest_of_it() -> None:
    availability = availability_of(100, 100)
    one = offering(availability, 1, Bitfield(range(100)), rate=1e6)
    availability.look(range(3))
    chosen = picker.answer(availability, one, 10, [50, 2, 60])
    assert chosen[0] == 2
    assert set(chosen[:3]) == {0, 1, 2}
    assert chosen[3:] == [50, 60]


def test_while_somebody_looks_less_is_chosen_at_a_time() -> None:
    availability = availability_of(40, 100)
    one = offering(availability, 1, Bitfield(range(40)), rate=1e6)
    availability.look(range(40))
    assert [len(picker.answer(availability, one, chunks, [])) for chunks in (1, 2, 3, 8)] == [
        1,
        1,
        1,
        4,
    ]


def test_members_that_look_at_the_same_begin_with_different_chunks() -> None:
    members = [member(number) for number in range(1, 5)]
    first: list[int] = []
    for me in members:
        availability = Availability((), bytes(me) + bytes(16))
        origin = VirtualAddress(b"\xfd" + bytes(14) + b"\xff")
        source = availability.join(origin, Tier.REPLICA, Bitfield(range(100)), offers=True)
        source.meter.value = 1e6
        for other in members:
            if other != me:
                availability.join(other, Tier.HOSPITAL, Bitfield(), offers=True)
        availability.look(range(100))
        availability.grow([100] * 100)
        first += picker.answer(availability, source, 4, [])
    assert len(set(first)) == len(first) == 8
    assert max(first) < LOOK_CHUNKS


def test_the_broker_gives_what_it_advises_alone() -> None:
    availability = availability_of(20)
    broker = offering(availability, 1, Bitfield(range(20)), tier=Tier.ORIGIN)
    assert picker.answer(availability, broker, 3, [2, 4]) == [2, 4]
    offering(availability, 2, Bitfield(range(18)))
    assert set(picker.answer(availability, broker, 9, [])) == {18, 19}


def test_nothing_is_chosen_of_who_owes_as_much_as_it_sends() -> None:
    availability = availability_of(400)
    one = offering(availability, 1, Bitfield(range(400)), rate=1e6)
    two = offering(availability, 2, Bitfield(range(400)), rate=1e6)
    availability.meter.value = 1e9
    availability.ask(one, range(int(PICKER.flight_seconds * 1e6 / SIZE) + 1), 0.0)
    assert picker.answer(availability, one, 1, []) == []
    assert picker.answer(availability, two, 1, [])
    availability.arrived(0, 0.0)
    assert picker.answer(availability, one, 1, [])


@pytest.mark.parametrize("rate", [0.0, 1e6])
def test_nothing_is_chosen_while_as_much_as_comes_at_all_is_on_its_way(rate: float) -> None:
    availability = availability_of(400)
    sources = [offering(availability, n, Bitfield(range(400)), rate=1e6) for n in range(1, 4)]
    availability.meter.value = rate
    most = max(PICKER.flight_bytes, rate * PICKER.flight_seconds)
    chunks = math.ceil(most / SIZE) - 1
    availability.ask(sources[0], range(chunks), 0.0)
    assert picker.answer(availability, sources[1], 1, [])
    availability.ask(sources[1], [chunks], 0.0)
    assert picker.answer(availability, sources[2], 1, []) == []
    availability.arrived(0, 0.0)
    assert picker.answer(availability, sources[2], 1, [])


def test_who_has_not_shown_that_it_sends_is_owed_little() -> None:
    availability = availability_of(40)
    one = offering(availability, 1, Bitfield(range(40)))
    chosen = picker.answer(availability, one, 9, [])
    assert len(chosen) * SIZE == PICKER.unproven_bytes
    availability.ask(one, chosen, 0.0)
    assert picker.answer(availability, one, 9, []) == []
    others = [offering(availability, number, Bitfield(range(40))) for number in range(2, 5)]
    assert all(picker.answer(availability, other, 1, []) for other in others)


def test_who_stalled_is_owed_one_chunk() -> None:
    availability = availability_of(40)
    one = offering(availability, 1, Bitfield(range(40)), rate=1e6)
    one.stalls = 1
    assert len(picker.answer(availability, one, 9, [])) == 1


def test_who_makes_offers_is_not_asked_unasked() -> None:
    availability = availability_of(4)
    offering(availability, 1, Bitfield(range(4)))
    assert picker.plan(availability) == []
    pulled = availability.join(member(2), Tier.REPLICA, Bitfield([3]))
    assert picker.plan(availability) == [(pulled, [3])]


# ---------------------------------------------------------------- the end game

RATES = st.sampled_from((0.0, 1e3, 1e4, 1e5, 1e6))


def pull(source: Source) -> float:
    return source.meter.value or PICKER.stall_rate


@settings(max_examples=150)
@given(RATES, st.lists(st.tuples(RATES, st.integers(0, 4)), min_size=1, max_size=4), st.data())
def test_taking_over_always_saves_time(
    rate: float, others: list[tuple[float, int]], data: st.DataObject
) -> None:
    availability = availability_of(20)
    has = Bitfield(data.draw(st.sets(st.integers(0, 19))))
    source = offering(availability, 1, has, rate=rate)
    first = 0
    for number, (other_rate, count) in enumerate(others, 2):
        victim = offering(availability, number, Bitfield(range(20)), rate=other_rate)
        availability.ask(victim, range(first, first + count), 0.0)
        first += count
    found = picker.takeover(availability, source, availability.sources.values())
    gains = {
        victim: victim.asked_bytes / pull(victim)
        for victim in availability.sources.values()
        if victim.in_flight and next(reversed(victim.in_flight)) in source.has
    }
    here = SIZE / pull(source)
    worth = [late for late in gains.values() if late >= here * PICKER.gain_factor + 0.3]
    if found is None:
        assert worth == []
        return
    assert found.source is source
    [victim] = availability.flights[found.number]
    assert gains[victim] == max(worth)  # the one that would come last of all
    assert found.number == next(reversed(victim.in_flight))
    assert found.cancel is (victim if len(victim.in_flight) > 1 else None)


def test_nobody_takes_over_from_itself_or_a_third_time() -> None:
    availability = availability_of(2)
    slow = offering(availability, 1, Bitfield([0]), rate=1e3)
    fast = offering(availability, 2, Bitfield([0]), rate=1e6)
    third = offering(availability, 3, Bitfield([0]), rate=1e6)
    availability.ask(slow, [0], 0.0)
    assert picker.takeover(availability, slow, [slow]) is None
    assert picker.takeover(availability, fast, [slow], taken={0}) is None
    assert picker.takeover(availability, fast, [slow]) == Takeover(fast, 0, None)
    availability.ask(fast, [0], 0.0)
    assert picker.takeover(availability, third, [slow, fast]) is None


def test_who_makes_offers_takes_over_only_when_it_offers() -> None:
    availability = availability_of(1)
    slow = offering(availability, 1, Bitfield([0]), rate=1e3)
    availability.ask(slow, [0], 0.0)
    offering(availability, 2, Bitfield([0]), rate=1e6)
    assert picker.takeovers(availability) == []


def test_only_what_comes_over_the_line_waits_for_more_urgent_transfers() -> None:
    availability = availability_of(40)
    far = offering(availability, 1, Bitfield(range(40)), rate=1e6)
    near = offering(availability, 2, Bitfield(range(40)), rate=1e6)
    near.on_line = False
    availability.allowance = 0.0
    assert picker.answer(availability, far, 4, []) == []
    assert picker.answer(availability, near, 4, [])
    availability.allowance = 1.0
    assert len(picker.answer(availability, far, 4, [])) == 1
    availability.allowance = math.inf
    assert len(picker.answer(availability, far, 4, [])) == 4


# ---------------------------------------------------------------- what somebody waits for


def test_what_somebody_waits_for_overtakes_what_was_chosen() -> None:
    availability = availability_of(20)
    everything = Bitfield(range(20))
    one, two = (offering(availability, n, everything, rate=1000.0) for n in (1, 2))
    availability.ask(one, [3, 4, 5], 0.0)
    availability.ask(two, [6], 0.0)
    assert availability.prefer([4, 9])
    assert picker.overtaken(availability) == [(one, [5])]  # 3 is on its way, 4 waited for


def test_what_is_about_to_be_sent_is_not_overtaken() -> None:
    availability = availability_of(20)
    source = offering(availability, 1, Bitfield(range(20)), rate=1.1 * SIZE / PICKER.begun_seconds)
    availability.ask(source, [1, 2, 3, 4], 0.0)
    availability.prefer([9])
    assert picker.overtaken(availability) == [(source, [3, 4])]
    availability.moved(source, 1, SIZE // 2, 0.0)
    source.meter.value = 0.0  # it has not shown yet how fast it is
    assert picker.overtaken(availability) == [(source, [2, 3, 4])]


@settings(max_examples=150)
@given(st.data())
def test_only_what_is_in_flight_behind_something_is_overtaken_and_only_for_somebody(
    data: st.DataObject,
) -> None:
    count = data.draw(st.integers(1, 30))
    numbers = st.sets(st.integers(0, count - 1))
    availability = availability_of(count, 100)
    sources = [
        offering(availability, place, Bitfield(data.draw(numbers)), rate=data.draw(rates))
        for place in range(3)
    ]
    for source in sources:
        source.offers = data.draw(st.booleans())
        some = sorted(number for number in data.draw(numbers) if number in source.has)
        availability.ask(source, some, 0.0)
    availability.prefer(data.draw(numbers))
    awaited = {n for n in availability.first if availability.wanted(n)}
    for source, overtaken in picker.overtaken(availability):
        assert source.offers
        assert overtaken
        assert awaited & set(source.has)
        assert set(overtaken) <= set(list(source.in_flight)[1:]) - availability.first
        for number in overtaken:
            availability.again(source, number, 0.0)
    assert picker.overtaken(availability) == []
    assert awaited == {n for n in availability.first if availability.wanted(n)}


def test_the_origin_gives_what_somebody_waits_for_besides() -> None:
    availability = availability_of(20)
    origin = offering(availability, 1, Bitfield(range(20)), tier=Tier.ORIGIN)
    availability.prefer([7, 8])
    assert picker.answer(availability, origin, 6, [2, 7])[:2] == [8, 7]
