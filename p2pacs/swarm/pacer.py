"""A budget of the line on trio's clock, kept right by what the kernel says was sent."""

from __future__ import annotations

from typing import Final, Protocol

import trio

from p2pacs.limits import KIB
from p2pacs.swarm.pacing import TLS_OVER_TCP, Overhead, TokenBucket

BURST_SECONDS: Final = 0.02
"""A budget saves up at most this much: more would stand in the modem's queue ..."""

BURST_BYTES: Final = 4 * KIB
"""... but a timer that is late must not cost throughput."""

SETTLE_SECONDS: Final = 0.1
"""Estimates are corrected this often, while there are any: later, their error would be a burst."""


class Metered(Protocol):
    """A stream on the line."""

    def correct(self) -> float:
        """Wire bytes that were charged too little (negative: too much) since the last call."""

    def paced(self, rate: float) -> None:
        """The line's rate has changed to so many bytes a second."""


class Pacer:
    """A token bucket that all streams share."""

    def __init__(
        self,
        bits: float,
        overhead: Overhead = TLS_OVER_TCP,
        *,
        burst: float = BURST_SECONDS,
    ) -> None:
        """A full bucket.

        Args:
            bits: Bits a second; 0 for a line that is closed for now.
            overhead: What the transport adds to what is written.
            burst: Seconds of the rate that are saved up at most.
        """
        self.overhead = overhead
        self._seconds = burst
        rate = bits / 8
        self._bucket = TokenBucket(rate, burst=self._burst(rate), now=trio.current_time())
        self._streams: set[Metered] = set()
        self._touched: set[Metered] = set()
        self._settled = trio.current_time()
        self._waiting = trio.lowlevel.ParkingLot()

    def _burst(self, rate: float) -> float:
        return max(BURST_BYTES, rate * self._seconds)

    @property
    def rate(self) -> float:
        """Bytes a second; 0 while the line is closed."""
        return self._bucket.rate

    def change(self, bits: float) -> None:
        """From now on another rate, in bits a second; 0 closes the line."""
        rate = bits / 8
        self._bucket.change(rate, burst=self._burst(rate), now=trio.current_time())
        for stream in self._streams:
            stream.paced(rate)
        self._waiting.unpark_all()

    # ------------------------------------------------------------ the budget

    def charge(self, size: float) -> None:
        """These bytes go over the line now."""
        self._bucket.charge(size, trio.current_time())

    async def ready(self) -> None:
        """Until the line is free."""
        self._settle()
        delay = self._bucket.delay(trio.current_time())
        while delay:  # others may have used the line meanwhile
            with trio.move_on_after(delay):
                await self._waiting.park()
            self._settle()
            delay = self._bucket.delay(trio.current_time())

    # ------------------------------------------------------------ the truth

    def add(self, stream: Metered) -> None:
        """A stream whose estimates can be corrected."""
        self._streams.add(stream)
        stream.paced(self.rate)
        self.charge(stream.correct())

    def remove(self, stream: Metered) -> None:
        """It was closed."""
        self._streams.discard(stream)
        self._touched.discard(stream)

    def touched(self, stream: Metered) -> None:
        """Something was charged for a stream, by estimate."""
        if stream in self._streams:
            self._touched.add(stream)
            self._settle()

    def _settle(self) -> None:
        """Correct the estimates, from time to time: idle streams cost nothing."""
        now = trio.current_time()
        if not self._touched or now - self._settled < SETTLE_SECONDS:
            return
        self._settled = now
        for stream in self._touched:
            self._bucket.charge(stream.correct(), now)
        self._touched.clear()
