from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.admission import Admission, AdmissionTuning, source_of
from p2pacs.errors import BusyError

SMALL = AdmissionTuning(
    strangers=4, strangers_of_one=2, known=3, known_of_one=2, remembered=2, grace=1.0
)


class Door:
    """An admission, and who was turned out of it."""

    def __init__(self) -> None:
        self.admission = Admission(SMALL)
        self.out: list[str] = []
        self._stack = ExitStack()

    def come(self, address: str, now: float, name: str = "") -> bool:
        try:
            place = self.admission.place(address, now, self._turn_out(name or address))
            self._stack.enter_context(place)
        except BusyError:
            return False
        return True

    def _turn_out(self, name: str) -> Callable[[], object]:
        return lambda: self.out.append(name)


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("2001:db8:1:2:aaaa::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unknown", "unknown"),
    ],
)
def test_a_source_is_a_line(address: str, source: str) -> None:
    assert source_of(address) == source


def test_of_one_source_the_oldest_gives_way() -> None:
    door = Door()
    assert [door.come("10.0.0.1", at, str(at)) for at in (0, 1, 2, 3)] == [True] * 4
    assert door.out == ["0", "1"]
    assert len(door.admission) == 2
    assert door.admission.turned_away == 2


def test_who_just_came_is_not_turned_out() -> None:
    door = Door()
    assert [door.come("10.0.0.1", at) for at in (0.0, 0.1, 0.9)] == [True, True, False]
    assert door.out == []
    assert door.come("10.0.0.2", 0.9)
    assert door.come("10.0.0.1", 1.0)


def test_the_source_that_holds_most_makes_room_for_others() -> None:
    door = Door()
    for name, address in [("a", "10.0.0.1"), ("b", "10.0.0.2"), ("c", "10.0.0.2")]:
        door.come(address, 0, name)
    door.come("10.0.0.3", 0, "d")
    assert door.come("10.0.0.4", 5, "newcomer")
    assert door.out == ["b"]


def test_strangers_cannot_take_the_places_of_members() -> None:
    door = Door()
    door.admission.list_hosts(["10.1.0.1", "replica.example"])
    door.admission.member_came("10.2.0.1")
    for number in range(9):
        door.come(f"192.168.0.{number}", 10 * number)
    assert len(door.admission) == SMALL.strangers
    before = list(door.out)
    assert door.come("10.1.0.1", 100)
    assert door.come("10.2.0.1", 100)
    assert door.out == before
    assert len(door.admission) == SMALL.strangers + 2


def test_only_so_many_sources_of_members_are_remembered() -> None:
    door = Door()
    for number in range(4):
        door.admission.member_came(f"10.2.0.{number}")
    for number in range(SMALL.strangers):
        assert door.come(f"192.168.0.{number}", 0)
    came = [door.come(f"10.2.0.{number}", 0.5) for number in range(4)]
    assert came == [False, False, True, True], "the first two are strangers again"


@given(
    st.lists(st.tuples(st.integers(0, 5), st.floats(0, 3), st.booleans()), max_size=60),
)
def test_never_more_than_the_places_there_are(steps: list[tuple[int, float, bool]]) -> None:
    admission, now = Admission(SMALL), 0.0
    admission.list_hosts(["10.0.0.0", "10.0.0.1"])
    held: list[ExitStack] = []
    inside: dict[int, tuple[str, bool]] = {}
    """Step at which one came → its source, and whether that is a member's."""
    for step, (number, pause, leave) in enumerate(steps):
        now += pause
        if leave and held:
            held.pop(0).close()
            continue
        stack, source = ExitStack(), f"10.0.0.{number}"
        leaves = partial(inside.pop, step, None)
        try:
            stack.enter_context(admission.place(source, now, leaves))
        except BusyError:
            assert len(admission) > 0
        else:
            stack.callback(leaves)
            inside[step] = source, number < 2
            held.append(stack)
        known = [is_known for _, is_known in inside.values()]
        assert len(admission) == len(inside)
        assert known.count(True) <= SMALL.known
        assert known.count(False) <= SMALL.strangers
        assert max(Counter(one for one, _ in inside.values()).values(), default=0) <= 2
    for stack in held:
        stack.close()
    assert len(admission) == 0
