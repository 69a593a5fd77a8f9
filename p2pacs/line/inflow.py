"""How much may be on its way over a line whose downlink nobody described. Pure: no clock, no I/O.

Nothing is held back until packets wait in the provider's queue: then what arrives is what the
line carries, and from then on that queue is held as the uplink's is, by what is asked for. (Reading
less would not do: what others have sent already is in the provider's queue, or in the kernel's
buffers of each link, for seconds.)

The round trips that tell of it go through both queues, so each side leaves the other its own while
that is used.
"""

from __future__ import annotations

import math
from typing import Final

import attrs
from attrs import frozen

from p2pacs.limits import CHUNK_BYTES
from p2pacs.line.delivered import DeliveredRate
from p2pacs.line.hop_trips import HopTrips, QueueLook
from p2pacs.line.queue_control import QueueController


@frozen
class InflowTuning:
    """What `Inflow` goes by."""

    queue: float = 0.07
    """Seconds in the queue that show that more comes than the line carries ..."""
    queue_seconds: float = 0.3
    """... for so long: a burst is none."""
    uplink_queue: float = 0.045
    """So much of the queue is the uplink's own, while somebody waits for that ..."""
    uplink_found: float = 0.1
    """... and so much more may be, while that one is still being found."""
    flight_seconds: float = 0.5
    """So much of what the line carries is asked for: a round trip, and what a chunk takes on a slow
    uplink. (Where uplinks are slower still the controller comes to more, as there is no queue.)"""
    least: int = CHUNK_BYTES
    arrived_seconds: float = 0.5
    look_seconds: float = 0.1
    full_seconds: float = 2.0
    """Who was held back so long ago counts as held back still."""


TUNING: Final = InflowTuning()
"""What is used unless a test hands in another."""


class Inflow:
    """Finds out how much may be asked for, once more comes than the line carries."""

    def __init__(self, now: float, hops: HopTrips, tuning: InflowTuning = TUNING) -> None:
        """A downlink of which nothing is known.

        Args:
            now: The present.
            hops: Round trips to the routers of the line.
            tuning: What it goes by.
        """
        self._tuning = tuning
        self._hops = hops
        self._control: QueueController | None = None
        self._arrived = DeliveredRate(now, tuning.arrived_seconds)
        self._short_at = self._looked_at = now
        self._bytes = 0
        self._full = False
        self._full_at = self._uplink_at = -math.inf

    @property
    def window(self) -> float:
        """Bytes that may be on their way; infinite while nothing shows what the line carries."""
        if self._control is None:
            return math.inf
        return max(self._tuning.least, self._control.rate * self._tuning.flight_seconds)

    @property
    def carried(self) -> float:
        """What the line was found to carry, in bytes a second; 0 while that is unknown."""
        return 0.0 if self._control is None else self._control.known

    def full(self) -> None:
        """More would be asked for if it might be."""
        self._full = True

    def own_queue(self, now: float) -> float:
        """Seconds of the queue that are the downlink's."""
        held = now - self._full_at <= self._tuning.full_seconds
        return self._tuning.uplink_queue if held else 0.0

    def uplink_wanted(self, now: float) -> None:
        """Somebody waits for the uplink: it has a queue, too."""
        self._uplink_at = now

    def came(self, size: int, now: float) -> None:
        """So many bytes came over the line."""
        self._bytes += size
        if now - self._looked_at < self._tuning.look_seconds:
            return
        self._looked_at = now
        size, self._bytes = self._bytes, 0
        arrived = self._arrived.add(size, now)
        look = self._hops.look(now)
        if look is None:
            self._short_at = now
            return
        look = self._without_uplink(look, now)
        if self._control is not None:
            if self._full:
                self._full_at = now
            self._control.update(size, look, limited=self._full, now=now)
            self._full = False
        elif look.delay <= self._tuning.queue:
            self._short_at = now
        elif now - self._short_at >= self._tuning.queue_seconds and arrived > 0:
            self._control = QueueController(now, arrived)

    def _without_uplink(self, look: QueueLook, now: float) -> QueueLook:
        """What is the downlink's of a queue."""
        tuning = self._tuning
        if now - self._uplink_at > tuning.full_seconds:
            return look
        own = tuning.uplink_queue + (tuning.uplink_found if self._control is None else 0.0)
        return attrs.evolve(look, delay=max(0.0, look.delay - own))
