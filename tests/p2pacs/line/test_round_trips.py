import random
from collections.abc import Callable, Sequence
from typing import Final

import pytest
from attrs import frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pacs.line.queue_delay import QueueDelay
from p2pacs.line.round_trips import TUNING as UPLINK
from p2pacs.line.round_trips import Phase, RoundTripController, RoundTripTuning, Sample

STEP: Final = 0.1
TRIP: Final = 0.042
CHUNK: Final = 64 * 1024


@frozen
class Moment:
    """The line at one time."""

    time: float
    rate: float
    """What the controller allows, bytes a second."""
    queue: float
    """Seconds that a packet waits."""
    used: float
    """Part of the line that was ours."""


class ModelLine:
    """A modem's queue, connections that take turns, and acknowledgements that are delayed."""

    def __init__(
        self, noise: float, connections: int, seed: int = 1, *, behind: float = 0.0
    ) -> None:
        """An empty one.

        Args:
            noise: Seconds that each acknowledgement waits at most, at random.
            connections: How many.
            seed: Of what is random.
            behind: Seconds that a receiver's acknowledgements wait behind what it sends itself,
                at most: anew every second.
        """
        self.control = RoundTripController(0.0)
        self.moments: list[Moment] = []
        self._noise = noise
        self._random = random.Random(seed)  # noqa: S311 (noise, no secret)
        self._delays = [QueueDelay() for _ in range(connections)]
        self._trips = [TRIP] * connections
        self._acks = [0] * connections
        self._behind = behind
        self._behinds = [0.0] * connections
        self._turn = 0.0
        self._queue = 0.0
        self._arriving = (0.0, 0.0)

    def run(
        self,
        seconds: float,
        rate: float,
        others: Callable[[float], float] = lambda queue: 0.0,
        *,
        room: float = 32_000,
    ) -> Sequence[Moment]:
        """So long on a line of so many bytes a second; others send by the bytes in the queue."""
        begin = len(self.moments)
        for _ in range(round(seconds / STEP)):
            mine, theirs = self.control.rate * STEP, others(self._queue) * STEP
            total = self._queue + mine + theirs
            served = min(total, rate * STEP)
            self._queue = min(total - served, room)
            arrived = served * mine / (mine + theirs)
            self._acknowledge(*self._arriving)
            self._arriving = arrived, self._queue / rate
            self.moments.append(
                Moment(
                    len(self.moments) * STEP,
                    self.control.rate,
                    self._queue / rate,
                    arrived / (rate * STEP),
                )
            )
        return self.moments[begin:]

    def _acknowledge(self, size: float, waited: float) -> None:
        """The kernel's smoothed round trip: an eighth of each acknowledgement's."""
        one = int(self._turn / CHUNK) % len(self._trips)
        self._turn += size
        if len(self.moments) % round(1 / STEP) == 0:
            self._behinds = [self._random.random() * self._behind for _ in self._behinds]
        acks = max(1, int(size / 2900))
        self._acks[one] += acks
        for _ in range(acks):
            trip = TRIP + waited + self._random.random() * self._noise + self._behinds[one]
            self._trips[one] += (trip - self._trips[one]) / 8
        now = len(self.moments) * STEP
        delay = self._delays[one].update(self._trips[one], TRIP, self._acks[one], now)
        self.control.update(Sample(size, delay, limited=True), now)


def use(moments: Sequence[Moment]) -> float:
    return sum(moment.used for moment in moments) / len(moments)


def queue(moments: Sequence[Moment], part: float) -> float:
    """The queue that is not exceeded in this part of the time."""
    return sorted(moment.queue for moment in moments)[int(part * (len(moments) - 1))]


@pytest.mark.parametrize("rate", [100_000, 1_000_000, 12_000_000])
@pytest.mark.parametrize("noise", [0.005, 0.03, 0.06])
@pytest.mark.parametrize("connections", [1, 3, 8])
def test_the_line_is_found_filled_and_left_to_others(
    rate: float, noise: float, connections: int
) -> None:
    line = ModelLine(noise, connections)
    found = line.run(20, rate, room=max(32_000, 0.3 * rate))
    assert max(moment.rate for moment in found) > 0.9 * rate
    steady = line.run(60, rate, room=max(32_000, 0.3 * rate))
    assert use(steady) > 0.96
    assert queue(steady, 0.5) < 0.025
    assert queue(steady, 0.95) < 0.08  # now and then a queue of ours is taken for one elsewhere


@pytest.mark.parametrize("behind", [0.04, 0.06])
@pytest.mark.parametrize("connections", [3, 6, 10])
def test_what_acknowledgements_wait_for_at_other_ends_is_no_queue(
    connections: int, behind: float
) -> None:
    line = ModelLine(0.03, connections, behind=behind)
    line.run(30, 100_000)
    steady = line.run(90, 100_000)
    assert use(steady) > 0.95
    assert queue(steady, 0.5) < 0.025
    assert queue(steady, 0.95) < 0.08


@pytest.mark.parametrize("rate", [25_000, 50_000])
@pytest.mark.parametrize("connections", [1, 3])
def test_a_slow_line_tells_less_and_is_filled_too(rate: float, connections: int) -> None:
    line = ModelLine(0.03, connections)
    line.run(20, rate)
    steady = line.run(60, rate)
    assert use(steady) > 0.93
    assert queue(steady, 0.5) < 0.03
    assert queue(steady, 0.95) < 0.2  # three to six packets


def test_a_line_that_changes_is_followed() -> None:
    line = ModelLine(0.03, 3)
    line.run(40, 100_000)
    line.run(10, 50_000)
    lower = line.run(20, 50_000)
    assert use(lower) > 0.7
    assert queue(lower, 0.5) < 0.05
    line.run(15, 200_000)
    assert use(line.run(20, 200_000)) > 0.8


def test_room_is_made_for_what_others_send() -> None:
    line = ModelLine(0.03, 3)
    line.run(30, 100_000)
    line.run(5, 100_000, lambda _: 60_000)
    beside = line.run(30, 100_000, lambda _: 60_000)
    assert 0.3 < use(beside) < 0.41
    assert queue(beside, 0.5) < 0.05
    line.run(10, 100_000)
    assert use(line.run(20, 100_000)) > 0.8


def test_others_who_never_yield_leave_a_share() -> None:
    line = ModelLine(0.03, 3)
    line.run(30, 100_000)
    line.run(10, 100_000, lambda queued: 200_000 if queued < 32_000 else 80_000)
    beside = line.run(30, 100_000, lambda queued: 200_000 if queued < 32_000 else 80_000)
    assert 0.1 < use(beside) < 0.4


def test_a_budget_that_is_not_used_does_not_grow() -> None:
    control = RoundTripController(0.0)
    for tick in range(1000):
        control.update(Sample(100, 0.0, limited=False), tick * STEP)
    assert control.rate == UPLINK.start
    assert control.phase is Phase.START


def test_a_start_without_a_word_of_the_queue_is_slow_but_not_stuck() -> None:
    control = RoundTripController(0.0)
    for tick in range(600):
        rate = min(control.rate, 200_000)
        control.update(Sample(rate * STEP, None, limited=True), tick * STEP)
    assert 150_000 < control.rate < 500_000
    stuck = RoundTripController(0.0)
    for tick in range(600):
        stuck.update(Sample(0.0, None, limited=True), tick * STEP)
    assert stuck.rate == UPLINK.start


SAMPLES = st.builds(
    Sample,
    st.floats(0, 1e12),
    st.none() | st.floats(0, 100),
    st.booleans(),
)


@settings(max_examples=200)
@given(st.lists(st.tuples(SAMPLES, st.floats(0, 10)), max_size=200))
def test_the_rate_stays_in_bounds_whatever_is_seen(seen: list[tuple[Sample, float]]) -> None:
    control = RoundTripController(0.0)
    now = 0.0
    for sample, passed in seen:
        now += passed
        assert UPLINK.least <= control.update(sample, now) <= UPLINK.most


def test_what_it_goes_by_can_be_handed_in() -> None:
    control = RoundTripController(0.0, RoundTripTuning(start=5000.0, most=6000.0, start_step=0.01))
    for tick in range(100):
        control.update(Sample(600.0, 0.0, True), 0.1 * tick)
    assert control.rate == 6000.0
