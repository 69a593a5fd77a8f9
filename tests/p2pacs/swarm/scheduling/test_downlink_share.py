"""What more urgent transfers leave to others of the same host."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.limits import CHUNK_BYTES
from p2pacs.swarm.scheduling.downlink_share import TUNING as DOWNLINK
from p2pacs.swarm.scheduling.downlink_share import DownlinkShare, DownlinkTuning, RunningTransfer
from p2pacs.swarm.scheduling.priority import Priority

RATE = 300_000.0
SOON = DOWNLINK.first_seconds + 1.0


def asked(
    left: DownlinkShare, running: list[RunningTransfer], begin: float, seconds: float
) -> float:
    """Bytes that background transfers ask for, a chunk whenever they may, 20 times a second."""
    total = 0.0
    for turn in range(round(seconds * 20)):
        if left.allowance(Priority.BACKGROUND, running, RATE, begin + turn / 20) > 0:
            left.asked(Priority.BACKGROUND, CHUNK_BYTES)
            total += CHUNK_BYTES
    return total


def test_nobody_is_held_back_by_its_equals_or_by_less_urgent_ones() -> None:
    left = DownlinkShare()
    running = [
        RunningTransfer(one, 0.0, RATE) for one in (Priority.BACKGROUND, Priority.INTERACTIVE)
    ]
    assert left.allowance(Priority.INTERACTIVE, running, RATE, SOON) == math.inf
    assert left.allowance(Priority.STAT, running, RATE, SOON) == math.inf


def test_who_has_become_urgent_has_the_line_alone_at_first() -> None:
    running = [RunningTransfer(Priority.STAT, 10.0, 0.0)]
    assert asked(DownlinkShare(), running, 10.0, DOWNLINK.first_seconds) == 0


@pytest.mark.parametrize("rate", [0.0, RATE / 3, RATE / 2])
def test_others_get_what_is_left(rate: float) -> None:
    running = [RunningTransfer(Priority.STAT, 0.0, rate)]
    expected = (DOWNLINK.share * RATE - rate) * 60
    total = asked(DownlinkShare(), running, DOWNLINK.first_seconds, 60)
    assert abs(total - expected) <= DOWNLINK.burst_bytes + CHUNK_BYTES


def test_nothing_is_left_of_a_line_that_is_full() -> None:
    running = [
        RunningTransfer(Priority.STAT, 0.0, RATE / 2),
        RunningTransfer(Priority.PREFETCH, 0.0, RATE / 2),
    ]
    assert asked(DownlinkShare(), running, DOWNLINK.first_seconds, 60) == 0


def test_what_was_not_asked_for_is_not_saved_up() -> None:
    left, running = DownlinkShare(), [RunningTransfer(Priority.STAT, 0.0, 0.0)]
    left.allowance(Priority.BACKGROUND, running, RATE, SOON)
    assert left.allowance(Priority.BACKGROUND, running, RATE, SOON + 3600) == DOWNLINK.burst_bytes


def test_a_debt_ends_with_what_it_was_for() -> None:
    left, running = DownlinkShare(), [RunningTransfer(Priority.STAT, 0.0, RATE)]
    left.allowance(Priority.BACKGROUND, running, RATE, SOON)
    left.asked(Priority.BACKGROUND, 10 * CHUNK_BYTES)
    assert left.allowance(Priority.BACKGROUND, running, RATE, SOON) < 0
    assert left.allowance(Priority.BACKGROUND, [], RATE, SOON) == math.inf
    left.asked(Priority.BACKGROUND, 10 * CHUNK_BYTES)
    assert left.allowance(Priority.BACKGROUND, running, RATE, SOON) == 0


@given(
    st.lists(
        st.builds(RunningTransfer, st.sampled_from(Priority), st.floats(0, 100), st.floats(0, 1e9)),
        max_size=5,
    ),
    st.lists(st.tuples(st.floats(0, 10), st.integers(0, 10**6)), max_size=30),
)
def test_never_more_than_the_line_carries(
    running: list[RunningTransfer], turns: list[tuple[float, int]]
) -> None:
    left, now, total = DownlinkShare(), 100.0, 0
    for passed, size in turns:
        now += passed
        room = left.allowance(Priority.BACKGROUND, running, RATE, now)
        if room == math.inf:
            return
        if room > 0:
            left.asked(Priority.BACKGROUND, size)
            total += size
        assert total <= RATE * (now - 0.0) + 10**6


def test_how_long_the_urgent_have_the_line_alone_can_be_handed_in() -> None:
    share = DownlinkShare(DownlinkTuning(first_seconds=1.0))
    urgent = RunningTransfer(Priority.STAT, 0.0, 0.0)
    assert share.allowance(Priority.BACKGROUND, [urgent], RATE, 0.9) == 0.0
    assert share.allowance(Priority.BACKGROUND, [urgent], RATE, 1.5) > 0.0
