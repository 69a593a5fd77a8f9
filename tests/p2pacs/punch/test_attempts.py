from hypothesis import given
from hypothesis import strategies as st

from p2pacs.punch.addresses import Nearness, Target
from p2pacs.punch.attempts import TUNING, Attempts
from p2pacs.units import Endpoint

NEAR = Target(Nearness.LAN, Endpoint("192.168.7.3", 4000))
OUTER = Target(Nearness.OUTER, Endpoint("203.0.113.20", 5000))


def test_the_lan_is_tried_first() -> None:
    attempts = Attempts([NEAR, OUTER], b"seed")
    assert attempts.due(NEAR) == 0.0
    assert attempts.due(OUTER) == TUNING.lan_first
    assert Attempts([OUTER], b"seed").due(OUTER) == 0.0


@given(st.binary(max_size=16), st.floats(0, 4))
def test_what_is_refused_is_repeated_after_a_pause_of_its_own(seed: bytes, now: float) -> None:
    attempts = Attempts([OUTER], seed)
    attempts.dialled(OUTER)
    attempts.spent(OUTER, now)
    due = attempts.due(OUTER)
    assert due is not None
    assert now + TUNING.least_pause <= due <= now + TUNING.most_pause


def test_two_sides_do_not_pause_alike() -> None:
    pauses = []
    for seed in (b"one", b"other"):
        attempts = Attempts([OUTER], seed)
        attempts.spent(OUTER, 0.0)
        pauses.append(attempts.due(OUTER))
    assert pauses[0] != pauses[1]


@given(st.lists(st.floats(0, 0.01), min_size=100, max_size=100))
def test_it_ends(lasts: list[float]) -> None:
    attempts, now, made = Attempts([OUTER], b"seed"), 0.0, 0
    for last in lasts:
        due = attempts.due(OUTER)
        if due is None:
            break
        assert due >= now or made == 0
        attempts.dialled(OUTER)
        made += 1
        now = due + last
        attempts.spent(OUTER, now)
    assert attempts.due(OUTER) is None
    assert made <= TUNING.attempts
    assert now <= TUNING.seconds + TUNING.most_pause
