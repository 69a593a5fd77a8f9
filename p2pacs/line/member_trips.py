"""Round trips to members, where no router tells of the uplink's queue. Pure: no clock, no I/O.

UDP to a port that nobody listens at: the member's kernel says so (ICMP, at most once a second to
each host that asks, as Linux does). Packets wait at the member's end, too, while that is busy; so
the least of what members tell counts: one of them may be idle, and none is told of less than what
waits here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from attrs import define, field

from p2pacs.line.hop import TUNING, Hop, HopTuning


@define
class MemberTrips:
    """The members that can be asked, each as a router that tells once a second."""

    tuning: HopTuning = TUNING
    _members: dict[str, Hop] = field(factory=dict)
    _asked: float = float("-inf")

    def take(self, addresses: Collection[str]) -> None:
        """These have links over the line now."""
        if self._members.keys() != set(addresses):
            self._members = {one: self._members.get(one) or self._new() for one in addresses}

    def _new(self) -> Hop:
        hop = Hop.new(self.tuning)
        hop.sparing = True
        return hop

    def clear(self) -> None:
        """This may be another line."""
        self._members.clear()

    def next(self, now: float, pause: float) -> tuple[str, Hop] | None:
        """Whom to ask now; it counts as asked.

        Args:
            now: The present.
            pause: Seconds between two questions, to whomever.
        """
        ready = [
            (hop.asked, address, hop)
            for address, hop in self._members.items()
            if not hop.silent and now - hop.asked >= self.tuning.sparing_pause
        ]
        if now - self._asked < pause or not ready:
            return None
        self._asked = now
        _, address, hop = min(ready, key=lambda one: one[:2])
        hop.asked = now
        return address, hop

    def told(self, now: float) -> Iterator[tuple[float, Hop]]:
        """Seconds by which trips to those who answered lately exceed the least, and to whom."""
        for hop in self._members.values():
            lately = now - hop.sent <= self.tuning.member_fresh_seconds
            if lately and (excess := hop.excess(now)) is not None:
                yield excess, hop
