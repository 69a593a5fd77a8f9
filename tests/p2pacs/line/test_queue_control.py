"""The controller and the round trips that it goes by, on a line that is modelled."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pacs.line.hop_trips import QueueLook
from p2pacs.line.queue_control import TUNING, QueueController, QueuePhase, QueueTuning
from tests.p2pacs.line.modelled_uplink import STEP, ModelledUplink, Moment, Reno, queue, use

ADSL = 100_000


def reaches(moments: list[Moment], part: float) -> float:
    """Seconds until this part of the line is used for a second."""
    window = round(1 / STEP)
    for begin in range(len(moments) - window):
        if use(moments[begin : begin + window]) >= part:
            return begin * STEP
    return float("inf")


def longer(moments: list[Moment], seconds: float) -> float:
    """Seconds in which the queue lasts longer."""
    return sum(moment.queue > seconds for moment in moments) * STEP


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("in_front", [0, 1, 3])
def test_the_line_is_found_and_kept_full(seed: int, in_front: int) -> None:
    line = ModelledUplink(seed=seed, in_front=in_front)
    begun = line.run(5, ADSL)
    assert next(one.time for one in begun if one.rate >= 0.9 * ADSL) < 3
    assert line.hops.found == in_front + 1
    line.run(5, ADSL)
    steady = line.run(120, ADSL)
    assert use(steady) > 0.98
    assert queue(steady, 0.5) < 0.05
    assert queue(steady, 0.95) < 0.08


@pytest.mark.parametrize("rate", [25_000, 1_000_000, 12_500_000])
def test_slow_and_fast_lines_are_found_too(rate: float) -> None:
    line = ModelledUplink(room=max(32_000.0, 0.2 * rate))
    line.run(20, rate)
    steady = line.run(60, rate)
    assert use(steady) > 0.95
    assert queue(steady, 0.95) < max(0.1, 4 * 1500 / rate)


def test_a_router_that_tells_once_a_second_does() -> None:
    line = ModelledUplink(sparing=True)
    line.run(20, ADSL)
    steady = line.run(120, ADSL)
    assert use(steady) > 0.95
    assert queue(steady, 0.95) < 0.16


@pytest.mark.parametrize("seed", [1, 2])
def test_a_line_that_changes_is_followed_within_five_seconds(seed: int) -> None:
    line = ModelledUplink(seed=seed)
    line.run(30, ADSL)
    lower = list(line.run(20, ADSL / 2))
    assert longer(lower, 0.2 - 0.042) < 2.5
    assert use(lower[500:]) > 0.95
    assert queue(lower[500:], 0.95) < 0.16
    higher = list(line.run(20, ADSL))
    assert reaches(higher, 0.95) < 5
    assert queue(higher, 0.95) < 0.16


@pytest.mark.parametrize("seed", [1, 2])
def test_others_are_yielded_to_and_the_line_comes_back(seed: int) -> None:
    line = ModelledUplink(seed=seed)
    line.run(30, ADSL)
    line.run(5, ADSL, lambda _now, _queue: 60_000)
    beside = line.run(20, ADSL, lambda _now, _queue: 60_000)
    assert 0.3 < use(beside) < 0.42
    assert reaches(list(line.run(10, ADSL)), 0.95) < 5


@pytest.mark.parametrize("seed", [1, 2])
def test_beside_others_who_never_yield_a_share_is_left(seed: int) -> None:
    line = ModelledUplink(seed=seed)
    line.run(30, ADSL)
    others = Reno(ADSL)
    line.run(5, ADSL, others)
    beside = line.run(30, ADSL, others)
    assert 0.1 < use(beside) < 0.5
    assert reaches(list(line.run(10, ADSL)), 0.95) < 5


def test_a_budget_that_is_not_used_does_not_grow() -> None:
    line = ModelledUplink()
    line.run(60, ADSL, limited=False)
    assert line.control.base == TUNING.start
    assert line.control.phase is QueuePhase.START


def test_a_queue_that_is_somewhere_else_does_not_make_it_grow_without_end() -> None:
    control = QueueController(0.0)
    now = 0.0
    for _ in range(1200):
        now += 0.1
        arrived = min(control.rate, ADSL) * 0.1
        control.update(arrived, QueueLook(0.0, now, 0.0), limited=True, now=now)
    assert control.base <= TUNING.carried_most * ADSL * 1.01


def test_a_trip_without_a_queue_is_seen_from_time_to_time() -> None:
    line = ModelledUplink()
    line.run(30, ADSL)
    ages = []
    for _ in range(1200):
        line.run(0.1, ADSL)
        look = line.hops.look(line.now)
        if look is not None:
            ages.append(look.base_age)
    assert max(ages) < TUNING.base_age + 2
    assert queue(line.moments[-100:], 0.5) < 0.05


def test_a_start_that_is_known_is_begun_with() -> None:
    control = QueueController(0.0, 80_000.0)
    assert control.rate == 80_000.0
    assert QueueController(0.0, 1.0).rate == TUNING.least


LOOKS = st.builds(QueueLook, st.floats(0, 100), st.floats(0, 1e6), st.floats(0, 1e9), st.booleans())


@settings(max_examples=200)
@given(st.lists(st.tuples(st.floats(0, 1e12), LOOKS, st.booleans(), st.floats(0, 10))))
def test_the_rate_stays_in_bounds_whatever_is_seen(
    seen: list[tuple[float, QueueLook, bool, float]],
) -> None:
    control = QueueController(0.0, tuning=QueueTuning(most=1e6))
    now = 0.0
    for delivered, look, limited, passed in seen:
        now += passed
        rate = control.update(delivered, look, limited=limited, now=now)
        assert TUNING.least <= rate <= 1e6
        assert TUNING.least <= control.base <= 1e6
        assert control.known >= 0
