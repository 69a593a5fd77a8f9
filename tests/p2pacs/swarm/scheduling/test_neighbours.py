import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.ids import VirtualAddress
from p2pacs.swarm.scheduling.neighbours import (
    DIAL_SECONDS,
    DIALLED_SECONDS,
    NEIGHBOURS,
    ORIGINS_SECONDS,
    STARVED_MORE,
    TRY_SECONDS,
    Neighbours,
    dials,
)

ME, *OTHERS = (VirtualAddress(b"\xfd" + bytes(13) + n.to_bytes(2, "big")) for n in range(101))


def met(count: int, seed: bytes = b"x") -> Neighbours:
    """Of a member that is told of so many origins."""
    neighbours = Neighbours(ME, seed, lambda _: True)
    neighbours.add([ME, *OTHERS[:count]], 0.0)
    return neighbours


def test_all_of_a_few_are_sought() -> None:
    few = met(NEIGHBOURS)
    assert sorted(few.seek((), 0.0)) == OTHERS[:NEIGHBOURS]
    assert few.seek((), 100.0) == []


def test_some_of_many_are_sought_and_others_by_others() -> None:
    one, other = met(100, b"one").seek((), 0.0), met(100, b"other").seek((), 0.0)
    assert len(one) == len(other) == NEIGHBOURS
    assert set(one) != set(other)
    assert ME not in {*one, *other}


def test_who_came_by_itself_counts() -> None:
    many = met(100)
    sought = many.seek(OTHERS[:5], 0.0)
    assert len(sought) == NEIGHBOURS - 5
    assert not set(sought) & set(OTHERS[:5])


def test_who_does_not_answer_is_made_up_for() -> None:
    many = met(100)
    first = many.seek((), 0.0)
    assert many.seek((), TRY_SECONDS - 0.1) == []
    second = many.seek(first[:4], TRY_SECONDS)
    assert len(second) == NEIGHBOURS - 4
    assert not set(first) & set(second)
    assert set(many.sought) == {*first, *second}


def test_who_starves_asks_around() -> None:
    many = met(100)
    first = many.seek((), 0.0)
    more = many.seek(first, 1.0, starved=True)
    assert len(more) == STARVED_MORE
    assert many.seek(first, 1.1, starved=True) == []  # these are being tried
    assert len(many.seek([*first, *more], 1.2, starved=True)) == STARVED_MORE


def test_origins_come_first_then_those_who_fetch() -> None:
    origin, *others = OTHERS[:5]
    some = Neighbours(ME, b"x", lambda member: member == origin)
    some.add([*others, origin], 7.0)
    assert some.seek((), 7.0) == [origin]
    assert some.due(7.0) == 7.0 + ORIGINS_SECONDS
    assert sorted(some.seek([origin], 7.01)) == others, "it is linked"
    away = Neighbours(ME, b"x", lambda member: member == origin)
    away.add([*others, origin], 7.0)
    away.seek((), 7.0)
    assert sorted(away.seek((), 7.0 + ORIGINS_SECONDS)) == others, "it does not answer"
    assert away.due(8.0) == math.inf


def test_who_came_later_is_left_to_dial() -> None:
    origin, *others = OTHERS[:NEIGHBOURS]
    one = Neighbours(ME, b"x", lambda member: member == origin)
    one.add([origin], 0.0)
    one.seek((), 0.0)
    one.add(others, 5.0, later=True)
    mine = [member for member in others if dials(ME, member)]
    theirs = [member for member in others if not dials(ME, member)]
    assert mine
    assert theirs
    assert one.seek([origin], 5.0) == []
    assert one.due(5.0) == 5.0 + DIAL_SECONDS
    assert sorted(one.seek([origin], 5.0 + DIAL_SECONDS)) == mine
    assert one.due(5.0 + DIAL_SECONDS) == 5.0 + DIALLED_SECONDS
    assert sorted(one.seek([origin], 5.0 + DIALLED_SECONDS)) == theirs


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
        assert len(fresh) <= max(0, NEIGHBOURS - len(linked))
        seen |= set(fresh)
