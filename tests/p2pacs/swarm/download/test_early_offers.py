from collections.abc import Iterable

import pytest

from p2pacs.bitfield import Bitfield
from p2pacs.ids import VirtualAddress
from p2pacs.swarm.download.early_offers import EARLY_SECONDS, EarlyOffers
from p2pacs.swarm.scheduling.availability import Availability
from p2pacs.swarm.scheduling.source import Source, Tier
from p2pacs.wire.messages.messages import Offer

A, B = VirtualAddress(b"\xfd" + bytes(14) + b"A"), VirtualAddress(b"\xfd" + bytes(14) + b"B")


class World:
    """A transfer with two chunks in its list, the first of them here, and two sources."""

    def __init__(self) -> None:
        self.declined: list[VirtualAddress] = []
        self.early = EarlyOffers(self.declined.append)
        self.availability = Availability(Bitfield([0]), b"seed")
        self.availability.grow([100, 100])
        for member in (A, B):
            self.availability.join(member, Tier.ORIGIN, Bitfield([0, 1]), offers=True)

    def keeps(self, member: VirtualAddress, numbers: Iterable[int], now: float = 0.0) -> bool:
        source: Source = self.availability.sources[member]
        return self.early.keeps(source, offer(numbers), self.availability, now)


def offer(numbers: Iterable[int]) -> Offer:
    return Offer(bytes(16), 1, list(numbers))


@pytest.mark.parametrize(
    ("numbers", "waits"),
    [([2, 3], True), ([0, 2], True), ([1, 2], False), ([0], False), ([1], False), ([], False)],
)
def test_what_waits_is_what_could_be_chosen_once_it_is_listed(
    numbers: list[int], waits: bool
) -> None:
    assert World().keeps(A, numbers) == waits


def test_of_a_replica_something_else_can_be_chosen_once_there_is_a_list() -> None:
    world = World()
    world.availability.sources[A].tier = Tier.REPLICA
    assert not world.keeps(A, [2])
    world.availability = Availability([], b"seed")
    world.availability.join(A, Tier.REPLICA, Bitfield([0]), offers=True)
    assert world.keeps(A, [0])


def test_what_waits_is_taken_once_in_the_order_in_which_it_came() -> None:
    world = World()
    assert world.keeps(A, [2])
    assert world.keeps(B, [3])
    assert world.early.take() == [(A, offer([2])), (B, offer([3]))]
    assert world.early.take() == []
    world.early.tick(EARLY_SECONDS)
    assert world.declined == []


def test_a_second_one_takes_the_place_of_the_first_which_is_declined() -> None:
    world = World()
    assert world.keeps(A, [2])
    assert world.keeps(A, [3], 0.5)
    assert world.declined == [A]
    world.early.tick(EARLY_SECONDS)
    assert world.early.take() == [(A, offer([3]))]


def test_none_waits_for_ever() -> None:
    world = World()
    assert world.keeps(A, [2])
    assert world.keeps(B, [2])
    world.early.drop(B)
    world.early.tick(EARLY_SECONDS)
    assert world.declined == [A]
    assert world.early.take() == []
