"""What was delivered a second, lately."""

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.line.delivered import DeliveredRate

STEPS = st.lists(st.tuples(st.floats(0.05, 2.0), st.floats(0.0, 1e6)), min_size=1, max_size=50)


def test_it_follows_a_change_and_forgets_what_was_before() -> None:
    rate = DeliveredRate(0.0, 0.8)
    assert rate.add(0.0, 0.0) == 0.0
    for step in range(1, 21):
        fast = rate.add(100.0, step / 10)
    for step in range(21, 41):
        slow = rate.add(50.0, step / 10)
    assert (fast, slow) == (pytest.approx(1000.0), pytest.approx(500.0))
    assert rate.total == 3000.0


@given(STEPS)
def test_it_is_between_the_least_and_the_most(steps: list[tuple[float, float]]) -> None:
    rate = DeliveredRate(0.0, 0.8)
    times = accumulate(seconds for seconds, _ in steps)
    told = [rate.add(size, now) for now, (_, size) in zip(times, steps, strict=True)]
    parts = [size / seconds for seconds, size in steps]
    assert rate.total == pytest.approx(sum(size for _, size in steps))
    assert all(min(parts) * 0.999 - 1 <= one <= max(parts) * 1.001 + 1 for one in told)
