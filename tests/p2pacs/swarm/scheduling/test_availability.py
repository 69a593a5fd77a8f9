import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from p2pacs.bitfield import Bitfield
from p2pacs.errors import MalformedMessageError
from p2pacs.ids import VirtualAddress
from p2pacs.limits import STUDY_CHUNKS
from p2pacs.swarm.scheduling.availability import Availability, arrange
from p2pacs.swarm.scheduling.rarity_queues import TOP_RANK
from p2pacs.swarm.scheduling.source import Tier
from p2pacs.swarm.scheduling.viewport import LOOK_CHUNKS, LOOK_PART


def member(number: int) -> VirtualAddress:
    return VirtualAddress(b"\xfd" + bytes(14) + bytes([number]))


@settings(max_examples=30)
@given(st.integers(0, 5000), st.integers(0, 20_000), st.binary(min_size=1, max_size=8))
def test_arrange_is_a_permutation_of_its_own(first: int, count: int, seed: bytes) -> None:
    numbers = arrange(first, count, seed)
    assert sorted(numbers) == list(range(first, first + count))
    assert numbers == arrange(first, count, seed)


def test_large_studies_keep_neighbours_together() -> None:
    numbers = arrange(0, 16384, b"x")
    neighbours = sum(b == a + 1 for a, b in itertools.pairwise(numbers))
    assert neighbours > 15_000


def test_small_studies_are_shuffled_chunk_by_chunk() -> None:
    assert arrange(0, 100, b"a") != arrange(0, 100, b"b")
    assert arrange(0, 100, b"a") != sorted(arrange(0, 100, b"a"))


def test_a_bit_field_beyond_the_largest_study_is_refused() -> None:
    availability = Availability((), b"")
    with pytest.raises(MalformedMessageError):
        availability.join(member(1), Tier.REPLICA, Bitfield([STUDY_CHUNKS]))


def test_copies_in_flight_elsewhere_keep_a_chunk_asked() -> None:
    availability = Availability((), b"")
    availability.grow([10])
    one = availability.join(member(1), Tier.REPLICA, Bitfield([0]))
    two = availability.join(member(2), Tier.REPLICA, Bitfield([0]))
    availability.ask(one, [0], 0.0)
    availability.ask(two, [0], 0.0)
    availability.leave(one, 1.0)
    assert not availability.wanted(0)
    availability.leave(two, 1.0)
    assert availability.wanted(0)
    assert availability.wanted_bytes == 10


def queued(availability: Availability, who: int) -> list[int]:
    """What one member would be asked for, in this order."""
    order = []
    while entry := availability.sources[member(who)].queues.pop():
        rank, number = entry
        if (now := availability.rank(number)) > rank:
            availability.sources[member(who)].queues.push(now, number)
        else:
            order.append(number)
    return list(dict.fromkeys(order))


def test_what_is_looked_at_comes_first_the_rarest_of_it_before_all() -> None:
    availability = Availability((), b"seed")
    availability.grow([10] * 400)
    availability.join(member(1), Tier.REPLICA, Bitfield(range(400)))
    availability.join(member(2), Tier.REPLICA, Bitfield(n for n in range(400) if n not in (7, 399)))
    availability.look(range(400))
    window = 400 // LOOK_PART
    order = queued(availability, 1)
    assert order[0] == 7
    assert set(order[:window]) == set(range(window))
    assert order[window] == 399  # then the rarest, as ever
    assert set(order) == set(range(400))


def test_the_window_slides_and_ends() -> None:
    availability = Availability((), b"seed")
    availability.grow([10] * 400)
    one = availability.join(member(1), Tier.REPLICA, Bitfield(range(400)))
    availability.look(range(100, 150))
    for number in range(100, 150):
        assert availability.looking
        assert availability.rank(number) <= TOP_RANK < availability.rank(399)
        availability.ask(one, [number], 0.0)
        availability.arrived(number, 0.0)
    assert not availability.looking
    assert availability.rank(399) <= TOP_RANK


def test_looking_elsewhere_forgets_what_was_looked_at() -> None:
    availability = Availability((3,), b"seed")
    availability.grow([10] * 100)
    availability.join(member(1), Tier.REPLICA, Bitfield(range(100)))
    availability.look(range(20))
    availability.look([50, 51, 50, 3])
    assert set(queued(availability, 1)[:2]) == {50, 51}
    availability.look([])
    assert not availability.looking


def test_what_is_looked_at_is_known_before_it_is_listed() -> None:
    availability = Availability((), b"seed")
    availability.look([70, 71])
    availability.join(member(1), Tier.REPLICA, Bitfield(range(100)))
    availability.grow([10] * 100)
    assert set(queued(availability, 1)[:2]) == {70, 71}


SIZE = 10
MEMBERS = st.integers(1, 4)
NUMBERS = st.integers(0, 39)


class AvailabilityMachine(RuleBasedStateMachine):
    """Any order of events leaves the books in order."""

    def __init__(self) -> None:
        super().__init__()
        self.availability = Availability((0, 1), b"seed")
        self.now = 0.0

    @rule(count=st.integers(1, 10))
    def grow(self, count: int) -> None:
        if self.availability.total + count <= 40:
            self.availability.grow([SIZE] * count)

    @rule(who=MEMBERS, has=st.sets(NUMBERS))
    def join(self, who: int, has: set[int]) -> None:
        if member(who) not in self.availability.sources:
            self.availability.join(member(who), Tier(who % 3), Bitfield(has))

    @rule(who=MEMBERS, number=NUMBERS)
    def gained(self, who: int, number: int) -> None:
        if source := self.availability.sources.get(member(who)):
            self.availability.gained(source, number)

    @rule(who=MEMBERS, number=NUMBERS)
    def lost(self, who: int, number: int) -> None:
        if source := self.availability.sources.get(member(who)):
            self.availability.lost(source, number, self.now)

    @rule(who=MEMBERS)
    def leave(self, who: int) -> None:
        if source := self.availability.sources.get(member(who)):
            self.availability.leave(source, self.now)

    @rule(who=MEMBERS, number=NUMBERS)
    def ask(self, who: int, number: int) -> None:
        source = self.availability.sources.get(member(who))
        known = number < self.availability.total and number not in self.availability.have
        if source and known and number in source.has and number not in source.in_flight:
            self.availability.ask(source, [number], self.now)

    @rule(who=MEMBERS, number=NUMBERS, size=st.integers(1, SIZE))
    def moved(self, who: int, number: int, size: int) -> None:
        self.now += 0.1
        source = self.availability.sources.get(member(who))
        if source and source.in_flight.get(number, 0) >= size:
            self.availability.moved(source, number, size, self.now)

    @rule(number=NUMBERS)
    def arrived(self, number: int) -> None:
        if number in self.availability.flights:
            self.availability.arrived(number, self.now)

    @rule(who=MEMBERS, number=NUMBERS)
    def again(self, who: int, number: int) -> None:
        if source := self.availability.sources.get(member(who)):
            self.availability.again(source, number, self.now)

    @rule(numbers=st.sets(NUMBERS))
    def prefer(self, numbers: set[int]) -> None:
        self.availability.prefer(numbers)

    @rule(numbers=st.lists(NUMBERS, max_size=30))
    def look(self, numbers: list[int]) -> None:
        self.availability.look(numbers)

    @rule(number=NUMBERS)
    def rotten(self, number: int) -> None:
        self.availability.rotten(number)

    @invariant()
    def the_window_is_of_what_is_missing(self) -> None:
        availability = self.availability
        assert len(availability._viewport.window) <= max(
            LOOK_CHUNKS, availability.total // LOOK_PART
        )
        for number in range(40):
            outside = (
                bool(availability._viewport.window) and number not in availability._viewport.window
            )
            assert (availability.rank(number) > TOP_RANK) == (
                outside and number not in availability.first
            )

    @invariant()
    def what_is_looked_at_waits_in_front(self) -> None:
        availability = self.availability
        for source in availability.sources.values():
            ranks = source.queues._ranks.items()
            front = {number for rank, queue in ranks if rank <= TOP_RANK for number in queue}
            for number in availability._viewport.window:
                assert (
                    number in front or number not in source.has or not availability.wanted(number)
                )

    @invariant()
    def books_balance(self) -> None:
        availability = self.availability
        for number in range(40):
            holders = sum(number in source.has for source in availability.sources.values())
            assert availability.copies(number) == holders
        wanted = [number for number in range(availability.total) if availability.wanted(number)]
        assert availability.wanted_bytes == len(wanted) * SIZE
        for source in availability.sources.values():
            assert source.asked_bytes == sum(source.in_flight.values())
            assert all(source in availability.flights[number] for number in source.in_flight)
        for number, flights in availability.flights.items():
            assert flights
            assert all(number in source.in_flight for source in flights)

    @invariant()
    def nothing_wanted_is_forgotten(self) -> None:
        for source in self.availability.sources.values():
            offered = {number for queue in source.queues._ranks.values() for number in queue}
            for number in source.has:
                assert not self.availability.wanted(number) or number in offered


TestAvailability = AvailabilityMachine.TestCase
TestAvailability.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
