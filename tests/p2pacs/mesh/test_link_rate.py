"""Links that a member opens are counted for a minute, each member's apart."""

from hypothesis import given
from hypothesis import strategies as st

from p2pacs.ids import VirtualAddress
from p2pacs.limits import LINKS_A_MINUTE
from p2pacs.mesh.link_rate import MINUTE, LinkRate

ONE = VirtualAddress(b"\xfd" + bytes(14) + b"\1")
OTHER = VirtualAddress(b"\xfd" + bytes(14) + b"\2")


def test_one_more_than_a_minute_has_is_too_often_and_then_it_counts_anew() -> None:
    rate = LinkRate()
    assert not any(rate.is_exceeded(ONE, 0.0) for _ in range(LINKS_A_MINUTE))
    assert not rate.is_exceeded(OTHER, 0.0)
    assert rate.is_exceeded(ONE, MINUTE - 0.1)
    assert not rate.is_exceeded(ONE, MINUTE)


@given(st.lists(st.floats(MINUTE / LINKS_A_MINUTE, 100), max_size=4 * LINKS_A_MINUTE))
def test_who_opens_them_slowly_enough_may_go_on_for_ever(pauses: list[float]) -> None:
    rate, now = LinkRate(), 0.0
    for pause in pauses:
        assert not rate.is_exceeded(ONE, now)
        now += 1.000001 * pause
