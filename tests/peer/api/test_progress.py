import pytest
from hypothesis import given
from hypothesis import strategies as st

from peer.api.progress import (
    FAR,
    OLD,
    STALLED,
    WINDOW,
    SmoothedRate,
    SmoothedRates,
    expected_seconds,
)

steps = st.lists(
    st.tuples(st.floats(0.0, 30.0), st.integers(0, 10_000_000)), min_size=1, max_size=30
)


def test_a_steady_counter_has_its_rate_from_the_first_sample_on() -> None:
    pace = SmoothedRate(0.0)
    for step in range(1, 40):
        assert pace.look(step * 0.25, step * 25_000) == pytest.approx(100_000)


def test_it_forgets_what_was() -> None:
    pace = SmoothedRate(0.0)
    assert pace.look(10.0, 1_000_000) == pytest.approx(100_000)
    count = 1_000_000
    for step in range(1, 81):
        count += 5_000
        rate = pace.look(10.0 + step * 0.25, count)
    assert rate == pytest.approx(20_000, rel=0.05)


def test_looks_in_quick_succession_change_nothing() -> None:
    pace = SmoothedRate(0.0)
    rate = pace.look(1.0, 1_000)
    assert pace.look(1.0 + WINDOW / 2, 1_000_000) == rate
    assert pace.look(1.0 + 2 * WINDOW, 1_000_000) > rate


def test_nobody_looked_for_a_while() -> None:
    pace = SmoothedRate(0.0)
    pace.look(1.0, 1_000_000)
    assert pace.look(61.0, 1_000_000 + 60_000) == pytest.approx(1_000, rel=0.01)


def test_a_stalled_counter_stands_still_and_begins_anew() -> None:
    pace = SmoothedRate(0.0)
    pace.look(1.0, 1_000)
    rates = [pace.look(1.0 + 0.25 * step, 1_000) for step in range(1, 40)]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] > 0
    assert pace.look(1.0 + STALLED, 1_000) == 0
    assert pace.look(2.0 + STALLED, 6_000) == pytest.approx(5_000)


def test_counters_come_and_go() -> None:
    paces = SmoothedRates[str]()
    assert not paces.fresh(0.0)
    assert paces.look(0.0, {"a": 1_000_000}) == {"a": 0}
    assert paces.look(1.0, {"a": 1_001_000, "b": 500}) == {
        "a": pytest.approx(1_000),
        "b": pytest.approx(500),
    }
    assert paces.look(1.0, {"b": 500}) == {"b": pytest.approx(500)}


def test_what_was_long_ago_says_nothing() -> None:
    paces = SmoothedRates[str]()
    paces.look(0.0, {"a": 0})
    assert paces.fresh(OLD)
    assert not paces.fresh(OLD + 1)
    assert paces.look(OLD + 1, {"a": 1_000_000}) == {"a": 0}
    assert paces.look(OLD + 2, {"a": 1_000_500}) == {"a": pytest.approx(500)}


def test_a_counter_that_stood_somewhere_already() -> None:
    assert SmoothedRate(5.0, 1_000_000).look(6.0, 1_001_000) == pytest.approx(1_000)


@given(steps)
def test_never_below_nothing_nor_above_the_fastest_sample(moves: list[tuple[float, int]]) -> None:
    pace, now, count = SmoothedRate(0.0), 0.0, 0
    sampled, held, fastest = 0.0, 0, 0.0
    for elapsed, grown in moves:
        now, count = now + elapsed, count + grown
        if now - sampled >= WINDOW:
            fastest = max(fastest, (count - held) / (now - sampled))
            sampled, held = now, count
        rate = pace.look(now, count)
        assert 0 <= rate <= fastest * (1 + 1e-9)


@pytest.mark.parametrize(
    ("remaining", "rate", "expected"),
    [
        (None, 1_000.0, None),
        (0, 0.0, 0.0),
        (-5, 1_000.0, 0.0),
        (1, 0.0, None),
        (10_000, 1_000.0, 10.0),
        (int(FAR) + 1, 1.0, None),
    ],
)
def test_the_expected_end(remaining: int | None, rate: float, expected: float | None) -> None:
    assert expected_seconds(remaining, rate) == expected


@given(st.integers(1, 1 << 50), st.floats(0, 1e12))
def test_the_end_is_never_infinite(remaining: int, rate: float) -> None:
    end = expected_seconds(remaining, rate)
    assert end is None or 0 <= end <= FAR
