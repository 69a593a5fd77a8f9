import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.line.hop import TUNING as HOPS
from p2pacs.line.measured import TUNING, MeasuredUplink
from p2pacs.line.queue_control import TUNING as QUEUE
from p2pacs.line.round_trips import Sample


class World:
    """A line without a queue, so far as anybody tells."""

    def __init__(self) -> None:
        self.now = 0.0
        self.uplink = MeasuredUplink(0.0)

    def run(
        self, seconds: float, *, trip: float | None, delay: float | None = 0.0, limited: bool = True
    ) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now += 0.1
            for probe in self.uplink.hops.probes(self.now):
                if trip is not None and probe.ttl == 1:
                    self.uplink.hops.answered(probe.port, "192.0.2.1", self.now + trip)
            sample = Sample(self.uplink.rate * 0.1, delay, limited=limited)
            self.uplink.update(sample, self.now)


def test_a_router_that_answers_is_believed() -> None:
    world = World()
    world.run(3, trip=0.02)
    assert world.uplink.seen
    assert world.uplink.rate > 2 * QUEUE.start


def test_where_none_answers_round_trips_have_to_do() -> None:
    world = World()
    world.run(TUNING.patience - 0.2, trip=None)
    assert world.uplink.seen
    assert world.uplink.rate == QUEUE.start
    world.run(4, trip=None)
    assert not world.uplink.seen
    assert world.uplink.rate > 1.5 * QUEUE.start


def test_what_was_found_out_is_handed_on_both_ways() -> None:
    world = World()
    world.run(2, trip=0.02)
    rate = world.uplink.rate
    world.run(HOPS.sparing_fresh_seconds + TUNING.patience + 0.3, trip=None)
    assert not world.uplink.seen
    assert world.uplink.rate == pytest.approx(rate, rel=0.4)
    world.run(HOPS.doubt_seconds + 1, trip=0.02)
    assert world.uplink.seen
    assert world.uplink.rate >= 0.7 * rate


def test_while_the_line_idles_nobody_is_missed() -> None:
    world = World()
    world.run(2, trip=0.02)
    world.run(60, trip=None, limited=False)
    assert world.uplink.seen


def test_a_router_that_denies_what_all_round_trips_tell_of_is_doubted() -> None:
    world = World()
    world.run(10, trip=0.02, delay=TUNING.queue + 0.1)
    assert not world.uplink.seen


def test_what_is_known_of_an_earlier_day_is_begun_with() -> None:
    assert MeasuredUplink(0.0, 50_000.0).rate == 50_000.0


SAMPLES = st.builds(Sample, st.floats(0, 1e12), st.none() | st.floats(0, 100), st.booleans())


@given(st.lists(st.tuples(SAMPLES, st.floats(0, 10), st.none() | st.floats(0, 4)), max_size=60))
def test_the_rate_stays_in_bounds_whatever_is_seen(
    seen: list[tuple[Sample, float, float | None]],
) -> None:
    uplink = MeasuredUplink(0.0)
    now = 0.0
    for sample, passed, trip in seen:
        now += passed
        for probe in uplink.hops.probes(now):
            if trip is not None:
                uplink.hops.answered(probe.port, "192.0.2.1", now + trip)
        assert QUEUE.least <= uplink.update(sample, now) <= QUEUE.most
        assert uplink.carried >= 0


def _sample(world: World, farthest: float | None, *, limited: bool = True) -> Sample:
    return Sample(world.uplink.rate * 0.1, 0.04, limited, farthest)


def test_a_lan_whose_routers_say_nothing_is_not_held_back() -> None:
    world = World()
    now = 0.0
    while now < TUNING.patience + 0.5:
        now += 0.1
        world.uplink.update(_sample(world, TUNING.near / 4), now)
    assert world.uplink.rate == TUNING.near_rate
    for _ in range(100):  # nobody waits for the budget any more
        now += 0.1
        world.uplink.update(_sample(world, TUNING.near / 4, limited=False), now)
        world.uplink.update(_sample(world, None, limited=False), now + 0.05)
    assert world.uplink.rate == TUNING.near_rate
    assert world.uplink.carried == 0  # that is nothing to begin with at another place
    world.uplink.update(_sample(world, 0.03), now + 0.1)  # one of them is elsewhere
    assert world.uplink.rate < 10 * QUEUE.start


def test_what_is_told_of_a_queue_counts_however_near_all_are() -> None:
    world = World()
    world.run(3, trip=0.02)
    world.uplink.update(_sample(world, 0.0005), world.now + 0.1)
    assert world.uplink.rate < TUNING.near_rate
