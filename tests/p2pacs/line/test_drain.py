"""When a configured line is used a little less, and when no longer."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from p2pacs.line.drain import TUNING as DRAIN
from p2pacs.line.drain import Drain

LOOK = 0.1
"""Seconds between two looks."""

LONG = DRAIN.standing_seconds * 1.2
SOME = (DRAIN.standing_seconds + DRAIN.drained_seconds) / 2


def seen(drain: Drain, delay: float, begin: float, seconds: float) -> list[float]:
    """When it was draining, of looks that all tell of this delay."""
    times = [begin + LOOK * count for count in range(1, round(seconds / LOOK) + 1)]
    result = []
    for now in times:
        drain.update(delay, now)
        if drain.draining:
            result.append(now)
    return result


def test_a_queue_that_stands_is_drained_until_it_has_gone() -> None:
    drain = Drain()
    assert not drain.update(SOME, 0.0), "what comes and goes by itself"
    assert drain.update(LONG, LOOK)
    assert not drain.update(SOME, 2 * LOOK)
    assert drain.draining
    assert drain.update(DRAIN.drained_seconds * 0.9, 3 * LOOK)
    assert not drain.draining


def test_a_delay_that_no_drain_ends_is_not_ours() -> None:
    drain = Drain()
    lasts = LONG / (1 - DRAIN.drain_share) + DRAIN.settling_seconds
    drained = seen(drain, LONG, 0.0, 20 * lasts)
    assert lasts - 2 * LOOK <= drained[-1] - drained[0] <= lasts + 2 * LOOK, "once, and never again"
    # what comes on top of it is ours again
    assert seen(drain, 2.1 * LONG, 20 * lasts, 1.0)


def test_what_others_did_is_forgotten_when_it_ends() -> None:
    drain = Drain()
    end = 2 * (LONG / (1 - DRAIN.drain_share) + DRAIN.settling_seconds)
    seen(drain, LONG, 0.0, end)
    assert not seen(drain, LONG, end, 1.0)
    drain.update(0.0, end + 3)
    assert seen(drain, LONG, end + 3, 1.0)


@given(st.lists(st.floats(0, 2), max_size=300))
def test_nothing_is_drained_for_longer_than_it_takes(delays: list[float]) -> None:
    drain = Drain()
    changes = [
        (turn * LOOK, drain.draining)
        for turn, delay in enumerate(delays)
        if drain.update(delay, turn * LOOK)
    ]
    assert [draining for _, draining in changes] == [n % 2 == 0 for n in range(len(changes))]
    longest = 2 / (1 - DRAIN.drain_share) + DRAIN.settling_seconds + 2 * LOOK
    for (begin, draining), (end, _) in pairwise(changes):
        assert not draining or end - begin <= longest
