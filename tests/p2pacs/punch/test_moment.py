import math

from hypothesis import given
from hypothesis import strategies as st

from p2pacs.punch.moment import LATEST, delays


@given(st.floats(0, 10), st.floats(0, 10))
def test_both_begin_at_the_same_moment(one: float, other: float) -> None:
    first, second = delays(one, other)
    assert 0 <= first <= LATEST / 2
    assert 0 <= second <= LATEST / 2
    assert min(first, second) == 0
    if max(one, other) <= LATEST:
        assert math.isclose(one / 2 + first, other / 2 + second, abs_tol=1e-9)
