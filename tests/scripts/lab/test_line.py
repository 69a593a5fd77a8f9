"""Lines are exact: packets one after the other, and a queue that drops its tail."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.lab.line import MTU, Direction, LabLine


def test_packets_leave_one_after_the_other() -> None:
    up = Direction(800_000, 32_000)
    assert up.take(1000, 5.0) == pytest.approx(5.01)
    assert up.take(500, 5.0) == pytest.approx(5.015)
    assert up.take(1000, 6.0) == pytest.approx(6.01)  # idle meanwhile: nothing is saved up
    assert up.accepted == 2500


def test_what_has_left_grows_with_time() -> None:
    up = Direction(800_000, 32_000)
    up.take(1000, 5.0)
    up.take(1000, 5.0)
    assert up.sent(5.0) == pytest.approx(0, abs=1e-6)
    assert up.sent(5.005) == pytest.approx(500)
    assert up.sent(5.02) == up.sent(9.0) == 2000


def test_a_full_queue_drops_what_comes_last() -> None:
    up = Direction(800_000, 3010)
    assert [up.take(1000, 1.0) is None for _ in range(5)] == [False, False, False, True, True]
    assert up.dropped == 2
    assert up.accepted == 3000
    assert up.take(1000, 1.011) is not None  # the first has left


@given(
    st.lists(st.tuples(st.integers(20, MTU), st.floats(0, 0.2)), max_size=60),
    st.integers(10_000, 10_000_000),
    st.integers(MTU, 100_000),
)
def test_never_faster_than_the_rate_nor_longer_than_the_queue(
    packets: list[tuple[int, float]], rate: int, queue: int
) -> None:
    direction = Direction(rate, queue)
    now = free = 0.0
    for size, pause in packets:
        now += pause
        leaves = direction.take(size, now)
        if leaves is not None:
            assert leaves >= max(free, now) + size * 8 / rate - 1e-9
            assert leaves - now <= queue * 8 / rate + 1e-6
            free = leaves
    assert -1e-6 <= direction.sent(now) <= direction.accepted


@pytest.mark.parametrize(
    "wrong", [{"uplink": 0}, {"downlink": -1}, {"delay": -0.1}, {"queue": 100}, {"loss": 1.0}]
)
def test_impossible_lines_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        LabLine(**{"uplink": 1, "downlink": 1, "delay": 0.0, "queue": MTU} | wrong)  # type: ignore[arg-type]
