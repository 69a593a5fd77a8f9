import math

from hypothesis import given
from hypothesis import strategies as st

from p2pacs.accounts.pace import OF_ACCOUNT, OF_SOURCE, Pace, PaceTuning

TUNING = PaceTuning(free=2, first=1.0, longest=4.0, forgotten=100.0)


def _attempt(pace: Pace, who: bytes, at: float) -> float:
    """Make an attempt as soon as it may be: when that is."""
    turn = pace.next_turn(who, at)
    pace.take(who, turn)
    return turn


@given(st.integers(0, 10**6))
def test_spaces_grow_to_seconds_and_no_further(failures: int) -> None:
    for tuning in (OF_SOURCE, OF_ACCOUNT):
        space = tuning.space_after(failures)
        assert 0 <= space <= tuning.space_after(failures + 1) <= 10
        assert (space == 0) == (failures < tuning.free)


def test_attempts_are_spaced_out_also_those_that_come_at_once() -> None:
    pace = Pace(TUNING)
    assert [_attempt(pace, b"a", 0.0) for _ in range(6)] == [0, 0, 1, 3, 7, 11]
    assert _attempt(pace, b"b", 0.0) == 0
    assert _attempt(pace, b"a", 60.0) == 60


def test_asking_when_takes_no_turn() -> None:
    pace = Pace(TUNING)
    for _ in range(4):
        _attempt(pace, b"a", 0.0)
    assert {pace.next_turn(b"a", 0.0) for _ in range(600)} == {3 + 4.0}


def test_success_and_time_forget() -> None:
    pace = Pace(TUNING)
    for _ in range(4):
        _attempt(pace, b"a", 0.0)
    pace.succeeded(b"a")
    assert [_attempt(pace, b"a", 0.0) for _ in range(3)] == [0, 0, 1]
    later = 1.0 + 100.0 + 1.0
    assert [_attempt(pace, b"a", later) for _ in range(2)] == [later, later]


@given(st.lists(st.tuples(st.integers(0, 9), st.floats(0, 100)), max_size=100))
def test_few_subjects_are_remembered_and_turns_never_go_back(
    attempts: list[tuple[int, float]],
) -> None:
    pace, at = Pace(TUNING, most=4), 0.0
    for who, seconds in attempts:
        at += seconds
        turn = _attempt(pace, b"%d" % who, at)
        assert at <= turn < math.inf
    assert len(pace) <= 4


def test_the_space_to_the_next_is_known() -> None:
    pace, at = Pace(TUNING), 0.0
    assert pace.space(b"a") == 0
    for _ in range(6):
        at = _attempt(pace, b"a", at)
        space = pace.space(b"a")
    assert space > 0
    assert _attempt(pace, b"a", at) == at + space
