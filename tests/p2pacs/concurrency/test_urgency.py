import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.concurrency.urgency import FAIR_TURNS, Haste, TurnQueue

LEVELS = st.lists(st.integers(0, 3), max_size=40)


def taken(queue: TurnQueue[int]) -> list[int]:
    return [queue.take() for _ in range(len(queue))]


def test_the_more_urgent_first_and_equals_as_they_came() -> None:
    queue, low, high = TurnQueue[int](), Haste(2), Haste(3)
    for number, urgency in enumerate((low, high, low, high)):
        queue.add(number, urgency)
    assert queue.next() == 1
    assert taken(queue) == [1, 3, 0, 2]


def test_it_is_looked_at_anew_at_each_turn() -> None:
    queue, one, other = TurnQueue[int](), Haste(2), Haste(2)
    queue.add(0, one)
    queue.add(1, other)
    other.level = 3
    assert taken(queue) == [1, 0]


def test_nobody_waits_for_ever() -> None:
    queue, low, high = TurnQueue[int](), Haste(0), Haste(3)
    queue.add(-1, low)
    for number in range(100):
        queue.add(number, high)
    assert taken(queue).index(-1) == FAIR_TURNS - 1


def test_what_had_its_turn_can_be_put_back_before_its_equals() -> None:
    queue = TurnQueue[int]()
    for number in range(3):
        queue.add(number)
    queue.put_back(queue.take())
    assert taken(queue) == [0, 1, 2]


def test_who_gives_up_waits_no_more() -> None:
    queue, high = TurnQueue[int](), Haste(3)
    queue.add(1000, high)
    queue.add(2000)
    assert queue.remove(1000)
    assert not queue.remove(1000)
    assert [*queue] == [2000]
    assert queue.next(lambda urgency: urgency is high) is None
    with pytest.raises(LookupError):
        queue.take(lambda urgency: urgency is high)


@given(LEVELS)
def test_each_has_its_turn_once_and_no_sooner_than_what_came_before_and_is_as_urgent(
    levels: list[int],
) -> None:
    queue, urgencies = TurnQueue[int](), [Haste(level) for level in range(4)]
    for number, level in enumerate(levels):
        queue.add(number, urgencies[level])
    order = taken(queue)
    assert sorted(order) == [*range(len(levels))]
    for level in range(4):
        mine = [number for number in order if levels[number] == level]
        assert mine == sorted(mine)
