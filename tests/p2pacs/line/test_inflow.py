import math

import pytest

from p2pacs.line.measured import MeasuredUplink
from p2pacs.line.round_trips import Sample

CARRIES = 375_000.0
"""Bytes a second."""


class World:
    """A downlink with a queue of its own, and others who send what they are asked for."""

    def __init__(self) -> None:
        self.now = 0.0
        self.uplink = MeasuredUplink(0.0)
        self.inflow = self.uplink.inflow
        self.carries = CARRIES
        self.queue = 0.0
        self.arrived = 0.0

    def run(self, seconds: float, most: float, *, uplink: bool = False, hops: bool = True) -> None:
        """So many bytes are on their way at most, if that may be; each takes 0.4 s to be sent."""
        end, step = self.now + seconds, 0.1
        self.arrived = 0.0
        while self.now < end:
            self.now += step
            window = min(most, self.inflow.window)
            let = (window - self.queue) / 0.4
            self.queue = min(96_000.0, max(0.0, self.queue + (let - self.carries) * step))
            out = min(let * step, self.carries * step) if not self.queue else self.carries * step
            self.arrived += out
            trip = 0.02 + self.queue / self.carries + 0.045 * uplink
            for probe in self.uplink.hops.probes(self.now):
                if hops and probe.ttl == 1:
                    self.uplink.hops.answered(probe.port, "192.0.2.1", self.now + trip)
            self.uplink.update(Sample(0.0, None, limited=uplink), self.now)
            if most >= self.inflow.window:
                self.inflow.full()
            self.inflow.came(round(out), self.now)


def test_what_the_line_carries_is_not_held_back() -> None:
    world = World()
    world.run(30, most=0.4 * CARRIES)
    assert world.inflow.window == math.inf
    assert world.inflow.carried == 0


def test_more_than_it_carries_is_held_to_that() -> None:
    world = World()
    world.run(1, most=0.2 * CARRIES)
    world.run(5, most=2 * CARRIES)
    world.run(20, most=2 * CARRIES)
    assert world.arrived == pytest.approx(20 * CARRIES, rel=0.02)
    assert world.queue < 0.09 * CARRIES
    assert world.inflow.carried == pytest.approx(CARRIES, rel=0.15)


def test_a_line_that_changes_is_followed() -> None:
    world = World()
    world.run(1, most=0.2 * CARRIES)
    world.run(10, most=4 * CARRIES)
    world.carries = CARRIES / 2
    world.run(5, most=4 * CARRIES)
    world.run(10, most=4 * CARRIES)
    assert world.queue < 0.1 * world.carries
    assert world.arrived > 0.95 * 10 * world.carries
    world.carries = 2 * CARRIES
    world.run(8, most=4 * CARRIES)
    world.run(10, most=4 * CARRIES)
    assert world.arrived > 0.9 * 10 * world.carries


def test_the_uplinks_own_queue_is_none_of_the_downlinks() -> None:
    world = World()
    world.run(2, most=0.2 * CARRIES)
    world.run(30, most=0.35 * CARRIES, uplink=True)
    assert world.inflow.window == math.inf
    world.run(3, most=2 * CARRIES, uplink=True)
    assert world.inflow.window < 0.7 * CARRIES
    world.run(20, most=2 * CARRIES, uplink=True)
    assert world.arrived == pytest.approx(20 * CARRIES, rel=0.03)


def test_where_no_router_tells_nothing_is_held_back() -> None:
    world = World()
    world.run(20, most=2 * CARRIES, hops=False)
    assert world.inflow.window == math.inf
