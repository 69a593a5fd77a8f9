"""Rates as arithmetic: what bytes cost on the line, a token bucket, a meter. No clock, no I/O.

Times are seconds of the caller's clock, rates are bytes a second.
"""

from __future__ import annotations

import math
from typing import Final

from attrs import frozen

SEGMENT_BYTES: Final = 1448
"""Payload of a TCP segment on Ethernet with time stamps (RFC 7323)."""

SEGMENT_OVERHEAD: Final = 52
"""IPv4 header (20), TCP header (20) and time stamps (12) of a segment."""

RECORD_BYTES: Final = 16 * 1024
"""Plaintext of a TLS record at most (RFC 8446 5.1)."""

RECORD_OVERHEAD: Final = 22
"""Header (5), content type (1) and tag (16) of a TLS 1.3 record."""

SEGMENTS_PER_ACK: Final = 2
"""A receiver acknowledges every second segment (RFC 9293 3.8.6.3)."""


@frozen
class Overhead:
    """What a transport adds to the bytes that are written to it."""

    record: int = RECORD_OVERHEAD
    """Bytes a TLS record."""
    segment: int = SEGMENT_OVERHEAD
    """Bytes a segment, with data or without."""

    def sealed(self, payload: int) -> int:
        """Bytes that TLS makes of this many bytes written at once."""
        return payload + self.record * -(-payload // RECORD_BYTES)

    def wire_bytes(self, payload: int) -> int:
        """Bytes on the line for this many bytes written at once to a TLS channel."""
        if payload <= 0:
            return 0
        sealed = self.sealed(payload)
        return sealed + self.segment * -(-sealed // SEGMENT_BYTES)

    def ack_bytes(self, payload: int) -> int:
        """Bytes that go the other way to acknowledge a stream's ``payload`` bytes."""
        return self.segment * payload // (SEGMENT_BYTES * SEGMENTS_PER_ACK)


TLS_OVER_TCP: Final = Overhead()
"""TLS 1.3 over TCP with time stamps over IPv4."""

wire_bytes: Final = TLS_OVER_TCP.wire_bytes
ack_bytes: Final = TLS_OVER_TCP.ack_bytes

NO_OVERHEAD: Final = Overhead(0, 0)
"""A simulated line that carries payload alone."""


class TokenBucket:
    """A budget that fills at a rate and may go into debt by what was sent last.

    Whoever wants to send waits while `delay` is positive, sends, and charges once what went
    out. Bytes that cannot wait (control messages, acknowledgements) are charged without
    waiting: the next that can wait pays for them.
    """

    __slots__ = ("_at", "_tokens", "burst", "rate")

    def __init__(self, rate: float, *, burst: float, now: float) -> None:
        """A bucket that is full.

        Args:
            rate: Bytes a second; 0 for a line that is closed.
            burst: Bytes that may go out at once after a pause.
            now: The present.
        """
        self.rate = rate
        self.burst = burst
        self._tokens = burst
        self._at = now

    def _fill(self, now: float) -> None:
        if now > self._at:
            self._tokens = min(self.burst, self._tokens + (now - self._at) * self.rate)
            self._at = now

    def delay(self, now: float) -> float:
        """Seconds until the next may go; 0 for at once (a debt below one byte is none)."""
        self._fill(now)
        if self.rate <= 0.0:
            return math.inf
        return -self._tokens / self.rate if self._tokens <= -1.0 else 0.0

    def charge(self, size: float, now: float) -> None:
        """Take ``size`` bytes, whether they are there or not; give them back if negative."""
        self._fill(now)
        self._tokens = min(self.burst, self._tokens - size)

    def change(self, rate: float, *, burst: float, now: float) -> None:
        """From now on the budget fills at another rate; a debt stays."""
        self._fill(now)
        self.rate = rate
        self.burst = burst
        self._tokens = min(burst, self._tokens)


class RateMeter:
    """Bytes a second while there was something to wait for, smoothed over about two seconds."""

    __slots__ = ("_bytes", "_since", "_waited", "value")

    WINDOW: Final = 0.25
    """Seconds of waiting that a sample covers at least: a block of a slow line takes 0.1."""

    MEMORY: Final = 2.0
    """Seconds after which a sample has lost most of its weight."""

    def __init__(self) -> None:
        self.value = 0.0
        """Bytes a second; 0 while unknown."""
        self._bytes = 0
        self._waited = 0.0
        self._since: float | None = None

    def start(self, now: float) -> None:
        """From now on something is awaited."""
        if self._since is None:
            self._since = now

    def stop(self, now: float) -> None:
        """Nothing is awaited any more: idle time does not count."""
        if self._since is not None:
            self._waited += now - self._since
            self._since = None

    def add(self, size: int, now: float) -> None:
        """``size`` bytes arrived."""
        self._bytes += size
        self.settle(now)

    def settle(self, now: float) -> None:
        """Take a sample if the window is over, also when nothing arrived."""
        if self._since is not None:
            self._waited += now - self._since
            self._since = now
        if self._waited < self.WINDOW:
            return
        sample = self._bytes / self._waited
        weight = min(1.0, self._waited / self.MEMORY) if self.value else 1.0
        self.value += weight * (sample - self.value)
        self._bytes, self._waited = 0, 0.0
