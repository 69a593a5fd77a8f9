"""A line as arithmetic: rate, queue, delay and loss. No clock and no I/O.

Times are seconds, rates bits a second, sizes bytes of IP packets, headers included.
"""

from __future__ import annotations

from typing import Final

from attrs import field, frozen, validators

from scripts.lab.icmp import ANSWERS, KINDS

DOWN_QUEUE: Final = 96_000
"""Bytes that wait at most at the provider's end of a line for its downlink."""

MTU: Final = 1492
"""Bytes of an IP packet at most on a line: Ethernet's 1,500 less PPPoE's 8 (RFC 2516)."""


@frozen
class LabLine:
    """What one member's line is like."""

    uplink: int = field(validator=validators.gt(0))
    downlink: int = field(validator=validators.gt(0))
    delay: float = field(validator=validators.ge(0))
    """One way between the member and the middle of the network: half of that to another."""
    queue: int = field(validator=validators.ge(MTU))
    """Bytes that wait at most for the uplink, what is being sent included."""
    loss: float = field(default=0.0, validator=[validators.ge(0), validators.lt(1)])
    """Part of the packets that are lost after they took their time on the uplink."""
    down_queue: int = field(default=DOWN_QUEUE, validator=validators.ge(MTU))
    hops: str = field(default=ANSWERS, validator=validators.in_(KINDS))
    """How its two routers tell of packets whose TTL ended there."""


class Direction:
    """One direction of a line: packets one after the other, and a queue that drops its tail."""

    __slots__ = ("_bytes_a_second", "_free_at", "_queue", "accepted", "dropped")

    def __init__(self, rate: int, queue: int) -> None:
        """An empty one.

        Args:
            rate: Bits a second.
            queue: Bytes that wait at most, what is being sent included.
        """
        self._bytes_a_second = rate / 8
        self._queue = queue
        self._free_at = 0.0
        self.accepted = 0
        """Bytes that were sent or wait."""
        self.dropped = 0
        """Packets that found the queue full."""

    def change(self, rate: int) -> None:
        """From now on another rate, in bits a second; what waits leaves as it was to leave."""
        self._bytes_a_second = rate / 8

    def take(self, size: int, now: float) -> float | None:
        """Queue a packet; when its last byte leaves, or None if it was dropped."""
        begin = self._free_at
        if begin <= now:
            begin = now
        elif (begin - now) * self._bytes_a_second + size > self._queue:
            self.dropped += 1
            return None
        self._free_at = begin + size / self._bytes_a_second
        self.accepted += size
        return self._free_at

    def sent(self, now: float) -> float:
        """Bytes that have left."""
        return self.accepted - max(0.0, self._free_at - now) * self._bytes_a_second
