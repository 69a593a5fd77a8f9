import contextlib
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.errors import UsageError
from p2pacs.hours import DAY_MINUTES, Hours, rate_at, seconds_to_change

MONDAY = datetime(2024, 1, 1)  # noqa: DTZ001 (local time is meant)
MOMENTS = st.integers(0, 7 * DAY_MINUTES * 60 - 1).map(lambda s: MONDAY + timedelta(seconds=s))
HOURS = st.builds(
    Hours,
    st.integers(0, DAY_MINUTES - 1),
    st.integers(0, DAY_MINUTES),
    st.sampled_from([0, 400_000, 3_000_000]),
    st.frozensets(st.integers(0, 6), min_size=1),
).filter(lambda hours: hours.begin != hours.end)


def at(day: int, hour: int, minute: int = 0) -> datetime:
    return MONDAY + timedelta(days=day, hours=hour, minutes=minute)


def test_working_hours() -> None:
    hours = Hours.parse("08:00-18:00 400kbit")
    assert (hours.begin, hours.end, hours.rate) == (480, 1080, 400_000)
    assert not hours.include(at(0, 7, 59))
    assert hours.include(at(0, 8))
    assert hours.include(at(6, 17, 59))
    assert not hours.include(at(0, 18))


def test_a_night_belongs_to_the_day_it_begins_on() -> None:
    hours = Hours.parse("fri-sat 22:00-06:00 off")
    assert hours.rate == 0
    assert not hours.include(at(4, 5))
    assert hours.include(at(4, 22))
    assert hours.include(at(5, 5, 59))
    assert hours.include(at(6, 5))
    assert not hours.include(at(6, 6))
    assert not hours.include(at(6, 22))


def test_days_may_go_round_the_week() -> None:
    assert Hours.parse("Sat-Mon 00:00-24:00 1mbit").days == {5, 6, 0}
    assert Hours.parse("wed 00:00-24:00 1mbit").include(at(2, 23, 59))


def test_the_first_that_fits_counts() -> None:
    hours = [Hours.parse("sat,sun 00:00-24:00 2mbit"), Hours.parse("08:00-18:00 400kbit")]
    assert rate_at(hours, at(5, 12)) == 2_000_000
    assert rate_at(hours, at(4, 12)) == 400_000
    assert rate_at(hours, at(4, 20)) is None
    assert rate_at([], at(4, 20)) is None


def test_the_next_change() -> None:
    hours = [Hours.parse("08:00-18:00 400kbit")]
    assert seconds_to_change(hours, at(0, 7, 30)) == 1800
    assert seconds_to_change(hours, at(0, 18)) == 14 * 3600
    assert seconds_to_change([], at(0, 18)) == 24 * 3600


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "write them as"),
        ("400kbit", "write them as"),
        ("8-18 400kbit", "write them as"),
        ("08:00-18:00", "write them as"),
        ("08:00-18:00 400", "not a rate"),
        ("08:00-18:60 400kbit", "no time of the day"),
        ("08:00-25:00 400kbit", "no time of the day"),
        ("08:00-08:00 400kbit", "no time lies"),
        ("24:00-08:00 400kbit", "no time lies"),
        ("mon-frei 08:00-18:00 400kbit", "no days"),
        ("mon, 08:00-18:00 400kbit", "no days"),
    ],
)
def test_what_is_wrong_is_said(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        Hours.parse(text)


@given(HOURS)
def test_what_is_written_is_read(hours: Hours) -> None:
    assert Hours.parse(str(hours)) == hours


@given(st.text(max_size=40))
def test_any_text_is_hours_or_a_mistake(text: str) -> None:
    with contextlib.suppress(UsageError):
        assert str(Hours.parse(text))


@given(st.lists(HOURS, max_size=4), MOMENTS)
def test_nothing_changes_before_the_next_change(hours: list[Hours], when: datetime) -> None:
    ahead = seconds_to_change(hours, when)
    assert 0 < ahead <= 24 * 3600
    assert rate_at(hours, when) == rate_at(hours, when + timedelta(seconds=ahead * 0.999))
