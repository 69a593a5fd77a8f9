"""What is chosen of a source that offers its line, and what it takes over near the end."""

import math
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pacs.bitfield import Bitfield
from p2pacs.ids import VirtualAddress
from p2pacs.limits import CHUNK_BYTES
from p2pacs.swarm.scheduling import picker
from p2pacs.swarm.scheduling.availability import Availability, Source, Tier
from p2pacs.swarm.scheduling.viewport import LOOK_CHUNKS

SIZE = CHUNK_BYTES


def member(number: int) -> VirtualAddress:
    return VirtualAddress(b"\xfd" + bytes(14) + bytes([number]))


def ledger_of(count: int, size: int = SIZE) -> Availability:
    ledger = Availability((), b"seed")
    ledger.grow([size] * count)
    return ledger


def offering(
    ledger: Availability,
    number: int,
    has: Bitfield,
    *,
    tier: Tier = Tier.REPLICA,
    rate: float = 0.0,
) -> Source:
    source = ledger.join(member(number), tier, has, offers=True)
    source.meter.value = rate
    return source


# ---------------------------------------------------------------- answers


@settings(max_examples=150)
@given(st.data())
def test_an_answer_is_of_what_is_there_and_wanted(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 40))
    numbers = st.integers(0, count - 1)
    ledger = ledger_of(count, 100)
    one = offering(ledger, 1, Bitfield(data.draw(st.sets(numbers))), tier=data.draw(tiers))
    two = offering(ledger, 2, Bitfield(data.draw(st.sets(numbers))))
    ledger.ask(two, sorted(data.draw(st.sets(numbers)) & set(two.has)), 0.0)
    ledger.prefer(data.draw(st.sets(numbers, max_size=3)))
    ledger.look(data.draw(st.lists(numbers, max_size=20)))
    chunks = data.draw(st.integers(1, 9))
    chosen = picker.answer(ledger, one, chunks, data.draw(st.lists(st.integers(0, 50))))
    assert len(chosen) == len(set(chosen)) <= chunks
    assert all(number in one.has and ledger.wanted(number) for number in chosen)


tiers = st.sampled_from(Tier)


@settings(max_examples=100)
@given(st.data())
def test_offers_bring_everything_exactly_once(data: st.DataObject) -> None:
    """Whatever is advised, whoever offers, whatever is looked at."""
    count = data.draw(st.integers(1, 40))
    numbers = st.integers(0, count - 1)
    ledger = ledger_of(count, 100)
    holders = data.draw(st.lists(st.sets(numbers), min_size=1, max_size=4))
    sources = [offering(ledger, n, Bitfield(has)) for n, has in enumerate(holders, 1)]
    asked: Counter[int] = Counter()
    empty = 0
    while empty < len(sources):
        for source in sources:
            if data.draw(st.booleans()):
                ledger.look(data.draw(st.lists(numbers, max_size=5)))
            hints = data.draw(st.lists(numbers, max_size=3))
            chosen = picker.answer(ledger, source, data.draw(st.integers(1, 3)), hints)
            ledger.ask(source, chosen, 0.0)
            asked.update(chosen)
            empty = 0 if chosen else empty + 1
            for number in chosen:
                ledger.arrived(number, 0.0)
    assert set(asked) == set().union(*holders)
    assert set(asked.values()) <= {1}


def test_advice_comes_first_then_the_rarest() -> None:
    ledger = ledger_of(20)
    one = offering(ledger, 1, Bitfield(range(20)), rate=1e6)
    offering(ledger, 2, Bitfield(n for n in range(20) if n not in (5, 11)))
    chosen = picker.answer(ledger, one, 4, [3, 3, 7, 99])
    assert chosen[:2] == [3, 7]
    assert set(chosen[2:]) == {5, 11}


def test_of_what_is_advised_the_rarest_comes_first() -> None:
    ledger = ledger_of(20)
    one = offering(ledger, 1, Bitfield(range(20)))
    offering(ledger, 2, Bitfield([3]))
    assert picker.answer(ledger, one, 1, [3, 7]) == [7]


def test_what_somebody_waits_for_comes_before_advice() -> None:
    ledger = ledger_of(20)
    one = offering(ledger, 1, Bitfield(range(20)))
    ledger.prefer([9])
    assert picker.answer(ledger, one, 1, [3, 7]) == [9]


def test_what_is_looked_at_comes_before_advice_and_the_rarest() -> None:
    ledger = ledger_of(40)
    one = offering(ledger, 1, Bitfield(range(40)), rate=1e6)
    offering(ledger, 2, Bitfield(range(20)))  # 20 to 39 are rarer
    ledger.look([4, 2, 8])
    assert set(picker.answer(ledger, one, 6, [30, 31])) == {2, 4, 8}


def test_the_rarest_of_the_window_come_first() -> None:
    ledger = ledger_of(100, 100)
    one = offering(ledger, 1, Bitfield(range(100)), rate=1e6)
    offering(ledger, 2, Bitfield(n for n in range(100) if n not in (5, 11, 60)))
    ledger.look(range(100))
    rarest = picker.answer(ledger, one, 4, [])
    assert set(rarest) == {5, 11}
    for number in rarest:
        ledger.ask(one, [number], 0.0)
        ledger.arrived(number, 0.0)
    rest = picker.answer(ledger, one, 2 * (LOOK_CHUNKS - 2), [])
    assert set(rest) == set(range(LOOK_CHUNKS)) - {5, 11}


def test_advice_of_the_window_comes_before_the_rest_of_it() -> None:
    ledger = ledger_of(100, 100)
    one = offering(ledger, 1, Bitfield(range(100)), rate=1e6)
    ledger.look(range(3))
    chosen = picker.answer(ledger, one, 10, [50, 2, 60])
    assert chosen[0] == 2
    assert set(chosen[:3]) == {0, 1, 2}
    assert chosen[3:] == [50, 60]


def test_while_somebody_looks_less_is_chosen_at_a_time() -> None:
    ledger = ledger_of(40, 100)
    one = offering(ledger, 1, Bitfield(range(40)), rate=1e6)
    ledger.look(range(40))
    assert [len(picker.answer(ledger, one, chunks, [])) for chunks in (1, 2, 3, 8)] == [1, 1, 1, 4]


def test_members_that_look_at_the_same_begin_with_different_chunks() -> None:
    members = [member(number) for number in range(1, 5)]
    first: list[int] = []
    for me in members:
        ledger = Availability((), bytes(me) + bytes(16))
        origin = VirtualAddress(b"\xfd" + bytes(14) + b"\xff")
        source = ledger.join(origin, Tier.REPLICA, Bitfield(range(100)), offers=True)
        source.meter.value = 1e6
        for other in members:
            if other != me:
                ledger.join(other, Tier.HOSPITAL, Bitfield(), offers=True)
        ledger.look(range(100))
        ledger.grow([100] * 100)
        first += picker.answer(ledger, source, 4, [])
    assert len(set(first)) == len(first) == 8
    assert max(first) < LOOK_CHUNKS


def test_the_broker_gives_what_it_advises_alone() -> None:
    ledger = ledger_of(20)
    broker = offering(ledger, 1, Bitfield(range(20)), tier=Tier.BROKER)
    assert picker.answer(ledger, broker, 3, [2, 4]) == [2, 4]
    offering(ledger, 2, Bitfield(range(18)))
    assert set(picker.answer(ledger, broker, 9, [])) == {18, 19}


def test_nothing_is_chosen_of_who_owes_as_much_as_it_sends() -> None:
    ledger = ledger_of(400)
    one = offering(ledger, 1, Bitfield(range(400)), rate=1e6)
    two = offering(ledger, 2, Bitfield(range(400)), rate=1e6)
    ledger.meter.value = 1e9
    ledger.ask(one, range(int(picker.FLIGHT_SECONDS * 1e6 / SIZE) + 1), 0.0)
    assert picker.answer(ledger, one, 1, []) == []
    assert picker.answer(ledger, two, 1, [])
    ledger.arrived(0, 0.0)
    assert picker.answer(ledger, one, 1, [])


@pytest.mark.parametrize("rate", [0.0, 1e6])
def test_nothing_is_chosen_while_as_much_as_comes_at_all_is_on_its_way(rate: float) -> None:
    ledger = ledger_of(400)
    sources = [offering(ledger, n, Bitfield(range(400)), rate=1e6) for n in range(1, 4)]
    ledger.meter.value = rate
    most = max(picker.FLIGHT_BYTES, rate * picker.FLIGHT_SECONDS)
    chunks = math.ceil(most / SIZE) - 1
    ledger.ask(sources[0], range(chunks), 0.0)
    assert picker.answer(ledger, sources[1], 1, [])
    ledger.ask(sources[1], [chunks], 0.0)
    assert picker.answer(ledger, sources[2], 1, []) == []
    ledger.arrived(0, 0.0)
    assert picker.answer(ledger, sources[2], 1, [])


def test_who_has_not_shown_that_it_sends_is_owed_little() -> None:
    ledger = ledger_of(40)
    one = offering(ledger, 1, Bitfield(range(40)))
    chosen = picker.answer(ledger, one, 9, [])
    assert len(chosen) * SIZE == picker.UNPROVEN_BYTES
    ledger.ask(one, chosen, 0.0)
    assert picker.answer(ledger, one, 9, []) == []
    others = [offering(ledger, number, Bitfield(range(40))) for number in range(2, 5)]
    assert all(picker.answer(ledger, other, 1, []) for other in others)


def test_who_stalled_is_owed_one_chunk() -> None:
    ledger = ledger_of(40)
    one = offering(ledger, 1, Bitfield(range(40)), rate=1e6)
    one.stalls = 1
    assert len(picker.answer(ledger, one, 9, [])) == 1


def test_who_makes_offers_is_not_asked_unasked() -> None:
    ledger = ledger_of(4)
    offering(ledger, 1, Bitfield(range(4)))
    assert picker.plan(ledger) == []
    pulled = ledger.join(member(2), Tier.REPLICA, Bitfield([3]))
    assert picker.plan(ledger) == [(pulled, [3])]


# ---------------------------------------------------------------- the end game

RATES = st.sampled_from((0.0, 1e3, 1e4, 1e5, 1e6))


def pull(source: Source) -> float:
    return source.meter.value or picker.STALL_RATE


@settings(max_examples=150)
@given(RATES, st.lists(st.tuples(RATES, st.integers(0, 4)), min_size=1, max_size=4), st.data())
def test_taking_over_always_saves_time(
    rate: float, others: list[tuple[float, int]], data: st.DataObject
) -> None:
    ledger = ledger_of(20)
    has = Bitfield(data.draw(st.sets(st.integers(0, 19))))
    source = offering(ledger, 1, has, rate=rate)
    first = 0
    for number, (other_rate, count) in enumerate(others, 2):
        victim = offering(ledger, number, Bitfield(range(20)), rate=other_rate)
        ledger.ask(victim, range(first, first + count), 0.0)
        first += count
    found = picker.takeover(ledger, source, ledger.sources.values())
    gains = {
        victim: victim.asked_bytes / pull(victim)
        for victim in ledger.sources.values()
        if victim.in_flight and next(reversed(victim.in_flight)) in source.has
    }
    here = SIZE / pull(source)
    worth = [late for late in gains.values() if late >= here * picker.GAIN_FACTOR + 0.3]
    if found is None:
        assert worth == []
        return
    assert found.source is source
    [victim] = ledger.flights[found.number]
    assert gains[victim] == max(worth)  # the one that would come last of all
    assert found.number == next(reversed(victim.in_flight))
    assert found.cancel is (victim if len(victim.in_flight) > 1 else None)


def test_nobody_takes_over_from_itself_or_a_third_time() -> None:
    ledger = ledger_of(2)
    slow = offering(ledger, 1, Bitfield([0]), rate=1e3)
    fast = offering(ledger, 2, Bitfield([0]), rate=1e6)
    third = offering(ledger, 3, Bitfield([0]), rate=1e6)
    ledger.ask(slow, [0], 0.0)
    assert picker.takeover(ledger, slow, [slow]) is None
    assert picker.takeover(ledger, fast, [slow], taken={0}) is None
    assert picker.takeover(ledger, fast, [slow]) == picker.Takeover(fast, 0, None)
    ledger.ask(fast, [0], 0.0)
    assert picker.takeover(ledger, third, [slow, fast]) is None


def test_who_makes_offers_takes_over_only_when_it_offers() -> None:
    ledger = ledger_of(1)
    slow = offering(ledger, 1, Bitfield([0]), rate=1e3)
    ledger.ask(slow, [0], 0.0)
    offering(ledger, 2, Bitfield([0]), rate=1e6)
    assert picker.takeovers(ledger) == []


def test_only_what_comes_over_the_line_waits_for_more_urgent_transfers() -> None:
    ledger = ledger_of(40)
    far = offering(ledger, 1, Bitfield(range(40)), rate=1e6)
    near = offering(ledger, 2, Bitfield(range(40)), rate=1e6)
    near.on_line = False
    ledger.allowance = 0.0
    assert picker.answer(ledger, far, 4, []) == []
    assert picker.answer(ledger, near, 4, [])
    ledger.allowance = 1.0
    assert len(picker.answer(ledger, far, 4, [])) == 1
    ledger.allowance = math.inf
    assert len(picker.answer(ledger, far, 4, [])) == 4
