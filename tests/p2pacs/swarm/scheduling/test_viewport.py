import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from p2pacs.bitfield import Bitfield
from p2pacs.swarm.scheduling.viewport import LOOK_CHUNKS, LOOK_PART, Viewport, first_of

orders = st.lists(st.integers(0, 99), max_size=60)


@given(orders, st.sets(st.integers(0, 99)), st.integers(0, 400), st.data())
def test_the_window_is_of_the_next_that_are_missing(
    order: list[int], held: set[int], total: int, data: st.DataObject
) -> None:
    viewing = Viewport()
    have = Bitfield(held)
    viewing.look(order)
    size = max(LOOK_CHUNKS, total // LOOK_PART)
    moved_up = list(viewing.slide(have, total))
    while True:
        missing = [n for n in dict.fromkeys(order) if n not in have]
        begin = list(dict.fromkeys(order)).index(missing[0]) if missing else 0
        reach = list(dict.fromkeys(order))[begin : begin + size]
        assert viewing.window == {n for n in reach if n not in have}
        if not viewing.window:
            break
        number = data.draw(st.sampled_from(sorted(viewing.window)))
        have.add(number)
        viewing.window.discard(number)
        moved_up += viewing.slide(have, total)
    assert len(moved_up) == len(set(moved_up))
    assert set(moved_up) == set(order) - held


def test_what_comes_late_is_waited_for() -> None:
    viewing = Viewport()
    viewing.look(range(100))
    have = Bitfield()
    assert list(viewing.slide(have, 0)) == list(range(LOOK_CHUNKS))
    for number in range(1, LOOK_CHUNKS):
        have.add(number)
        viewing.window.discard(number)
        assert list(viewing.slide(have, 0)) == []
    assert viewing.window == {0}
    have.add(0)
    viewing.window.discard(0)
    assert list(viewing.slide(have, 0)) == list(range(LOOK_CHUNKS, 2 * LOOK_CHUNKS))


def test_the_window_grows_with_the_study() -> None:
    viewing = Viewport()
    viewing.look(range(1000))
    list(viewing.slide(Bitfield(), 0))
    list(viewing.slide(Bitfield(), 900))
    assert viewing.window == set(range(900 // LOOK_PART))


def test_looking_elsewhere_begins_anew() -> None:
    viewing = Viewport()
    viewing.look(range(100))
    list(viewing.slide(Bitfield(), 100))
    viewing.look([7, 5, 7])
    assert viewing.window == set()
    assert list(viewing.slide(Bitfield([5]), 100)) == [7]
    viewing.look([])
    assert list(viewing.slide(Bitfield(), 100)) == []


members = st.lists(st.binary(min_size=16, max_size=16), min_size=1, max_size=6, unique=True)


@given(st.integers(0, 2**20), members, st.randoms())
def test_all_agree_who_is_first_and_few_change_when_one_leaves(
    number: int, names: list[bytes], shuffled: random.Random
) -> None:
    first = first_of(number, names)
    others = list(names)
    shuffled.shuffle(others)
    assert first_of(number, others) == first
    for gone in names:
        rest = [name for name in names if name != gone]
        if gone != first and rest:
            assert first_of(number, rest) == first


def test_everybody_has_about_the_same_share() -> None:
    names = [bytes([n]) * 16 for n in range(4)]
    shares = Counter(first_of(number, names) for number in range(4000))
    assert all(850 < shares[name] < 1150 for name in names)
