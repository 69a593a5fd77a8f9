"""What an uplink carries whose rate was not configured, by whatever tells of it. Pure.

By its queue, where a router behind it answers (`p2pacs.line.queue_control`); by round trips to the
other members where none does (`p2pacs.line.round_trips`), which know less: acknowledgements wait at
the other ends, too.
"""

from __future__ import annotations

import random
from typing import Final

import attrs
from attrs import frozen

from p2pacs.line.hop_trips import PORTS, HopTrips, QueueLook
from p2pacs.line.inflow import Inflow
from p2pacs.line.queue_control import QueueController
from p2pacs.line.round_trips import TUNING as ROUND_TRIPS
from p2pacs.line.round_trips import RoundTripController, Sample


@frozen
class MeasuredTuning:
    """When `MeasuredUplink` believes whom."""

    patience: float = 1.5
    """Seconds of use without a word of any router: round trips have to do ..."""
    near: float = 0.002
    near_rate: float = 1.25e9
    """... unless all round trips are that short: no access line's are, so this is a LAN whose
    routers say nothing, and nothing is held back (10 Gbit/s). Delays of acknowledgements, 40 ms,
    would be taken for a queue there: 2 Mbit/s of a gigabit after 13 s."""
    doubted: float = 0.02
    """Seconds that a router says packets wait, at most ..."""
    queue: float = 0.2
    """... while all round trips say that they wait at least so long ..."""
    doubt_seconds: float = 5.0
    """... for this time: the queue is somewhere else."""


TUNING: Final = MeasuredTuning()
"""What is used unless a test hands in another."""


class MeasuredUplink:
    """Finds out what an uplink carries, while it is used."""

    def __init__(
        self, now: float, start: float | None = None, tuning: MeasuredTuning = TUNING
    ) -> None:
        """An uplink of which nothing, or its rate of an earlier day, is known.

        Args:
            now: The present.
            start: Bytes a second to begin with; None: what hardly any line lacks.
            tuning: What it goes by.
        """
        self._tuning = tuning
        self.hops = HopTrips(first_port=random.randrange(PORTS))  # noqa: S311 (hardly a secret)
        """Round trips to the routers on the way."""
        self._control: QueueController | RoundTripController = QueueController(now, start)
        self._unheard_since = now
        self._agreed_at = now
        self._near = False
        self.inflow = Inflow(now, self.hops)
        """What may be asked for: these round trips tell of the downlink's queue, too."""

    @property
    def rate(self) -> float:
        """Bytes a second that may be sent now."""
        return self._tuning.near_rate if self._near else self._control.rate

    @property
    def seen(self) -> bool:
        """Whether a router tells of the queue."""
        return isinstance(self._control, QueueController)

    @property
    def carried(self) -> float:
        """What the line was found to carry, in bytes a second; 0 while that is unknown."""
        return 0.0 if self._near else self._control.known

    def update(self, sample: Sample, now: float) -> float:
        """The rate from now on, in bytes a second."""
        if sample.limited:
            self.inflow.uplink_wanted(now)
        look = self.hops.look(now)
        if look is not None and (others := self.inflow.own_queue(now)):
            look = attrs.evolve(look, delay=max(0.0, look.delay - others))
        if look is not None and self._doubt(look, sample, now):
            look = None
        if look is not None or not sample.limited:
            self._unheard_since = now
        control, self._near = self._control, look is None and self._is_near(sample, now)
        if self._near:
            return self.rate
        if look is not None:
            if isinstance(control, RoundTripController):
                control = self._control = QueueController(now, control.rate)
            return control.update(sample.delivered, look, limited=sample.limited, now=now)
        if isinstance(control, QueueController):
            if now - self._unheard_since <= self._tuning.patience:
                return control.rate
            start = attrs.evolve(ROUND_TRIPS, start=control.rate)
            control = self._control = RoundTripController(now, start)
        return control.update(sample, now)

    def _is_near(self, sample: Sample, now: float) -> bool:
        """Whether there is no access line between this host and those that it sends to."""
        if sample.farthest is None:
            return self._near
        unheard = self._near or now - self._unheard_since > self._tuning.patience
        return unheard and sample.farthest < self._tuning.near

    def _doubt(self, look: QueueLook, sample: Sample, now: float) -> bool:
        """Whether a router says that there is no queue, and all round trips that there is."""
        tuning = self._tuning
        if sample.delay is None or sample.delay < tuning.queue or look.delay > tuning.doubted:
            self._agreed_at = now
        if now - self._agreed_at <= tuning.doubt_seconds:
            return False
        self.hops.doubt(now)
        self._agreed_at = now
        return True
