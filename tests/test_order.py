from hypothesis import given
from hypothesis import strategies as st

from tests.order import among


@given(st.integers(0, 60), st.integers(0, 600), st.floats(0.1, 1.0))
def test_nothing_is_left_out_and_all_keep_their_order(few: int, many: int, spread: float) -> None:
    first, second = [-1 - n for n in range(few)], list(range(many))
    ordered = among(first, second, spread)
    assert [one for one in ordered if one < 0] == first
    assert [one for one in ordered if one >= 0] == second


def test_the_few_are_spread_and_none_of_them_is_last() -> None:
    ordered = among("abcde", "." * 100)
    assert [ordered.index(one) for one in "abcde"] == [0, 17, 34, 51, 68]
