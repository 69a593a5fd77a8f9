from hypothesis import given
from hypothesis import strategies as st

from p2pacs.limits import INDEX_PARTS
from p2pacs.publish.schedule import CUT_BYTES, CUT_SECONDS, SECOND_SECONDS, CutSchedule


def test_the_first_cut_is_at_once_the_next_soon_and_then_each_after_a_second() -> None:
    schedule = CutSchedule(100.0)
    assert schedule.is_due(100.0, 1)
    schedule.cut(100.0)
    assert not schedule.is_due(100.5, 1)
    assert schedule.due == 100.0 + SECOND_SECONDS
    assert schedule.is_due(100.7, 1)
    schedule.cut(101.0)
    assert schedule.due == 101.0 + CUT_SECONDS


def test_much_waiting_is_cut_whatever_the_time() -> None:
    schedule = CutSchedule(0)
    schedule.cut(0)
    assert schedule.is_due(0.1, CUT_BYTES)


@given(st.integers(1, 8))
def test_hours_of_slow_sending_do_not_use_up_the_index_parts(hours: int) -> None:
    schedule, now, cuts = CutSchedule(0), 0.0, 0
    while now < hours * 3600:
        now = schedule.due
        schedule.cut(now)
        cuts += 1
    assert cuts < INDEX_PARTS


def test_people_still_see_something_every_few_seconds() -> None:
    schedule = CutSchedule(0)
    for _ in range(1000):
        schedule.cut(schedule.due)
    last = schedule.due
    schedule.cut(last)
    assert schedule.due - last <= 8


def test_what_is_put_off_is_looked_at_again_after_its_pause() -> None:
    schedule = CutSchedule(0)
    schedule.later(5.0)
    assert schedule.due == 5.0 + CUT_SECONDS
    schedule.cut(10.0)
    schedule.later(11.0)
    assert schedule.due == 11.0 + SECOND_SECONDS
