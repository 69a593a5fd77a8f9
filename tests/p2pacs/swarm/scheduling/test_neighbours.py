import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.ids import VirtualAddress
from p2pacs.swarm.scheduling.neighbours import TUNING as NEIGHBOURHOOD
from p2pacs.swarm.scheduling.neighbours import Neighbours, NeighboursTuning, dials

ME, *OTHERS = (VirtualAddress(b"\xfd" + bytes(13) + n.to_bytes(2, "big")) for n in range(101))


def met(count: int, seed: bytes = b"x") -> Neighbours:
    """Of a member that is told of so many origins."""
    neighbours = Neighbours(ME, seed, lambda _: True)
    neighbours.add([ME, *OTHERS[:count]], 0.0)
    return neighbours


def test_all_of_a_few_are_sought() -> None:
    few = met(NEIGHBOURHOOD.neighbours)
    assert sorted(few.seek((), 0.0)) == OTHERS[: NEIGHBOURHOOD.neighbours]
    assert few.seek((), 100.0) == []


def test_some_of_many_are_sought_and_others_by_others() -> None:
    one, other = met(100, b"one").seek((), 0.0), met(100, b"other").seek((), 0.0)
    assert len(one) == len(other) == NEIGHBOURHOOD.neighbours
    assert set(one) != set(other)
    assert ME not in {*one, *other}


def test_who_came_by_itself_counts() -> None:
    many = met(100)
    sought = many.seek(OTHERS[:5], 0.0)
    assert len(sought) == NEIGHBOURHOOD.neighbours - 5
    assert not set(sought) & set(OTHERS[:5])


def test_who_does_not_answer_is_made_up_for() -> None:
    many = met(100)
    first = many.seek((), 0.0)
    assert many.seek((), NEIGHBOURHOOD.try_seconds - 0.1) == []
    second = many.seek(first[:4], NEIGHBOURHOOD.try_seconds)
    assert len(second) == NEIGHBOURHOOD.neighbours - 4
    assert not set(first) & set(second)
    assert set(many.sought) == {*first, *second}


def test_who_starves_asks_around() -> None:
    many = met(100)
    first = many.seek((), 0.0)
    more = many.seek(first, 1.0, starved=True)
    assert len(more) == NEIGHBOURHOOD.starved_more
    assert many.seek(first, 1.1, starved=True) == []  # these are being tried
    assert len(many.seek([*first, *more], 1.2, starved=True)) == NEIGHBOURHOOD.starved_more


def test_origins_come_first_then_those_who_fetch() -> None:
    origin, *others = OTHERS[:5]
    some = Neighbours(ME, b"x", lambda member: member == origin)
    some.add([*others, origin], 7.0)
    assert some.seek((), 7.0) == [origin]
    assert some.due(7.0) == 7.0 + NEIGHBOURHOOD.origins_seconds
    assert sorted(some.seek([origin], 7.01)) == others, "it is linked"
    away = Neighbours(ME, b"x", lambda member: member == origin)
    away.add([*others, origin], 7.0)
    away.seek((), 7.0)
    assert sorted(away.seek((), 7.0 + NEIGHBOURHOOD.origins_seconds)) == others, (
        "it does not answer"
    )
    assert away.due(8.0) == math.inf


def test_who_came_later_is_left_to_dial() -> None:
    origin, *others = OTHERS[: NEIGHBOURHOOD.neighbours]
    one = Neighbours(ME, b"x", lambda member: member == origin)
    one.add([origin], 0.0)
    one.seek((), 0.0)
    one.add(others, 5.0, later=True)
    mine = [member for member in others if dials(ME, member)]
    theirs = [member for member in others if not dials(ME, member)]
    assert mine
    assert theirs
    assert one.seek([origin], 5.0) == []
    assert one.due(5.0) == 5.0 + NEIGHBOURHOOD.dial_seconds
    assert sorted(one.seek([origin], 5.0 + NEIGHBOURHOOD.dial_seconds)) == mine
    assert one.due(5.0 + NEIGHBOURHOOD.dial_seconds) == 5.0 + NEIGHBOURHOOD.dialled_seconds
    assert sorted(one.seek([origin], 5.0 + NEIGHBOURHOOD.dialled_seconds)) == theirs


@given(st.sampled_from(OTHERS), st.sampled_from(OTHERS))
def test_of_two_one_dials(one: VirtualAddress, other: VirtualAddress) -> None:
    assert one == other or dials(one, other) != dials(other, one)


@pytest.mark.parametrize("me", OTHERS[::20])
def test_everybody_dials_about_half(me: VirtualAddress) -> None:
    assert 35 <= sum(dials(me, other) for other in OTHERS) <= 65


@given(st.lists(st.sets(st.integers(0, 99)), max_size=8), st.binary(max_size=4))
def test_nobody_is_sought_twice_and_never_too_many(rounds: list[set[int]], seed: bytes) -> None:
    neighbours = met(100, seed)
    seen: set[VirtualAddress] = set()
    for turn, numbers in enumerate(rounds):
        linked = [OTHERS[number] for number in numbers]
        fresh = neighbours.seek(linked, turn / 10)
        assert not seen & set(fresh)
        assert not set(fresh) & set(linked)
        assert len(fresh) <= max(0, NEIGHBOURHOOD.neighbours - len(linked))
        seen |= set(fresh)


def test_how_many_are_sought_can_be_handed_in() -> None:
    few = Neighbours(ME, b"", tuning=NeighboursTuning(neighbours=3))
    few.add(OTHERS, 0.0)
    assert len(few.seek([], 0.0)) == 3
