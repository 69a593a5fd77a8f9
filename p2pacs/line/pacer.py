"""A budget of the line on trio's clock, kept right by what the kernel says was sent."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, Protocol
from weakref import WeakKeyDictionary, WeakSet

import trio
from attrs import frozen

from p2pacs.limits import KIB
from p2pacs.line.drain import Drain
from p2pacs.line.hop_echo import Route, watch_queue
from p2pacs.line.inflow import Inflow
from p2pacs.line.measured import MeasuredUplink
from p2pacs.line.meter import Look
from p2pacs.line.pacing import TLS_OVER_TCP, Overhead, TokenBucket
from p2pacs.line.round_trips import Sample


@frozen
class PacerTuning:
    """What `Pacer` saves up and when it corrects itself."""

    burst_seconds: float = 0.02
    """A budget saves up at most this much: more would stand in the modem's queue ..."""
    burst_bytes: int = 4 * KIB
    """... but a timer that is late must not cost throughput."""
    settle_seconds: float = 0.1
    """Estimates are corrected this often, while there are any: later, their error would be a
    burst."""
    overtaken_seconds: float = 0.06
    """What links had kept back leaves the kernel beside what is sent meanwhile, and stands in the
    modem's queue. Where the kernel's counters tell of more than this, the line is given that time:
    acknowledgements wait there, too, so that one late link makes others late."""
    spacing_change: float = 0.03
    """The kernel is told of a rate that differs by more than this part ..."""
    measured_above: float = 1.05
    measured_change: float = 0.15
    """... and where it is measured, of so many times it, when it is above that or this part below:
    it differs every tenth of a second, and each time costs a call for each link."""


TUNING: Final = PacerTuning()
"""What is used unless a test hands in another."""


class Metered(Protocol):
    """A stream on the line."""

    def look(self, now: float) -> Look:
        """What the kernel says since the last call."""

    def paced(self, rate: float) -> None:
        """The line's rate has changed to so many bytes a second."""


class Pacer:
    """A token bucket that all streams share."""

    def __init__(
        self,
        bits: float,
        overhead: Overhead = TLS_OVER_TCP,
        *,
        burst: float | None = None,
        control: MeasuredUplink | None = None,
        drain: Drain | None = None,
        tuning: PacerTuning = TUNING,
    ) -> None:
        """A full bucket.

        Args:
            bits: Bits a second at most; 0 for a line that is closed for now.
            overhead: What the transport adds to what is written.
            burst: Seconds of the rate that are saved up at most; None: as the tuning says.
            control: Finds out what the line carries; None: just what was said.
            drain: Finds queues on a line whose rate was configured.
            tuning: What it goes by.
        """
        self._tuning = tuning
        self.overhead = overhead
        self._limit = bits / 8
        self._control = control
        self._seconds = tuning.burst_seconds if burst is None else burst
        rate = min(self._limit, control.rate) if control else self._limit
        self._bucket = TokenBucket(rate, burst=self._burst(rate), now=trio.current_time())
        self._spaced = rate
        self._drain = drain or Drain()
        self._streams: WeakSet[Metered] = WeakSet()
        self._routes: WeakKeyDictionary[Metered, Route] = WeakKeyDictionary()
        self._route: Route | None = None
        """Of the stream that was used last, and has one."""
        self._used_at = -math.inf
        self._idle = trio.lowlevel.ParkingLot()
        self.poll: Callable[[], None] | None = None
        """Reads what was answered about the line meanwhile (`p2pacs.line.hop_echo`)."""
        self._touched: set[Metered] = set()
        self._settled = trio.current_time()
        self._queue = 0.0
        """Bytes that stand in the modem's queue, by the kernel's counters; of a configured line."""
        self._limited = False
        self._waiting = trio.lowlevel.ParkingLot()

    def _burst(self, rate: float) -> float:
        return max(self._tuning.burst_bytes, rate * self._seconds)

    @property
    def rate(self) -> float:
        """Bytes a second; 0 while the line is closed."""
        return self._bucket.rate

    @property
    def carried(self) -> float:
        """What a measured line was found to carry, in bytes a second; 0 while that is unknown."""
        return self._control.carried if self._control else 0.0

    @property
    def seen(self) -> bool:
        """Whether a router tells of the queue of a measured line."""
        return self._control is not None and self._control.seen

    @property
    def inflow(self) -> Inflow | None:
        """What may be asked for over a line that is measured; None: that is not."""
        return self._control.inflow if self._control else None

    def change(self, bits: float) -> None:
        """From now on another rate, or another limit of what is measured; 0 closes the line.

        Args:
            bits: Bits a second.
        """
        self._limit = bits / 8
        self._apply()

    def _apply(self) -> None:
        rate = min(self._limit, self._control.rate) if self._control else self._limit
        if self._drain.draining:
            rate *= self._drain.tuning.drain_share
        if rate == self.rate:
            return
        wake = rate > self.rate
        self._bucket.change(rate, burst=self._burst(rate), now=trio.current_time())
        spacing = self._spacing(rate)
        if spacing != self._spaced:
            self._spaced = spacing
            for stream in self._streams:
                stream.paced(spacing)
        if wake:
            self._waiting.unpark_all()

    def _spacing(self, rate: float) -> float:
        """The rate that the kernel is to space segments by: the present one if that will do."""
        tuning, spaced = self._tuning, self._spaced
        if self._control is not None and rate:
            change = tuning.measured_change
            close = (1 - change) * spaced <= rate <= spaced
            return spaced if close else rate * tuning.measured_above
        close = abs(rate - spaced) <= tuning.spacing_change * spaced
        return spaced if close or self._drain.draining else rate

    # ------------------------------------------------------------ the budget

    def charge(self, size: float) -> None:
        """These bytes go over the line now."""
        self._bucket.charge(size, trio.current_time())

    async def ready(self) -> None:
        """Until the line is free."""
        self._settle()
        delay = self._delay()
        while delay:  # others may have used the line meanwhile
            self._limited = True
            with trio.move_on_after(
                min(delay, self._tuning.settle_seconds) if self._control else delay
            ):
                await self._waiting.park()
            self._settle()
            delay = self._delay()

    def _delay(self) -> float:
        """Seconds until the next block: budget must be there, and no queue in the modem."""
        now = trio.current_time()
        kept = self._queue - (now - self._settled + self._tuning.overtaken_seconds) * self._limit
        overtaken = kept / self._limit if kept >= 1.0 else 0.0  # less than a byte is nothing
        return max(self._bucket.delay(now), overtaken)

    # ------------------------------------------------------------ the truth

    def add(self, stream: Metered, route: Route | None = None) -> None:
        """A stream whose estimates can be corrected.

        Args:
            stream: The stream.
            route: Where it leads, as far as that may be asked about.
        """
        self._streams.add(stream)
        if route is not None:
            self._routes[stream] = route
        stream.paced(self._spaced)
        self.charge(stream.look(trio.current_time()).correction)

    def remove(self, stream: Metered) -> None:
        """It was closed."""
        self._streams.discard(stream)
        self._touched.discard(stream)

    def touched(self, stream: Metered) -> None:
        """Something was charged for a stream, by estimate."""
        if stream in self._streams:
            self._touched.add(stream)
            self._use(stream)
            self._settle()

    # ------------------------------------------------------------ where it leads

    def _use(self, stream: Metered) -> None:
        if (route := self._routes.get(stream)) is not None:
            self._route, self._used_at = route, trio.current_time()
            self._idle.unpark_all()

    async def used(self) -> None:
        """Until a stream that leads somewhere is used."""
        await self._idle.park()

    def route(self, seconds: float) -> Route | None:
        """Where the stream led that was used last, if that was within so many seconds."""
        return self._route if trio.current_time() - self._used_at <= seconds else None

    async def watch(self) -> None:
        """Ask about the queue of a line that is measured, until cancelled."""
        if self._control is not None:
            await watch_queue(self, self._control.hops)

    def _settle(self) -> None:
        """Correct the estimates, from time to time: idle streams cost nothing."""
        now = trio.current_time()
        if not self._touched or now - self._settled < self._tuning.settle_seconds:
            return
        since, self._settled = now - self._settled, now
        looks = {stream: stream.look(now) for stream in self._touched}
        self._bucket.charge(sum(look.correction for look in looks.values()), now)
        self._touched = {stream for stream, look in looks.items() if look.busy}
        delays = [look.delay for look in looks.values() if look.delay is not None]
        if self._control is None:
            sent = sum(look.sent for look in looks.values())
            self._queue = max(0.0, self._queue + sent - since * self._limit)
            if delays and self._drain.update(min(delays), now):
                self._apply()
        else:
            delivered = sum(look.delivered for look in looks.values())
            if self.poll is not None:
                self.poll()
            trips = [look.trip for look in looks.values() if look.trip is not None]
            farthest = max(trips, default=None)
            sample = Sample(delivered, min(delays, default=None), self._limited, farthest)
            self._control.update(sample, now)
            self._limited = False
            self._apply()
