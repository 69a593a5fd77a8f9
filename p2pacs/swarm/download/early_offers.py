"""Offers of chunks that are not listed here yet. No clock and no I/O of its own.

Who publishes while it sends offers what is new as soon as it has said so; whoever gets that offer
asks for the list in that moment. Answered before the list is here, nothing could be chosen, and
nothing would be offered for a while: that line was idle for 0.4 s of a study of 74 s.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from p2pacs.ids import VirtualAddress
from p2pacs.swarm.scheduling.availability import Availability
from p2pacs.swarm.scheduling.source import Source, Tier
from p2pacs.wire.messages.messages import Offer

EARLY_SECONDS: Final = 1.0
"""The list is here within a few round trips, or it does not come soon; the other side counts on an
answer for three seconds."""


class EarlyOffers:
    """Offers that wait for a list, one of each member: nobody makes a second one before an answer
    unless it no longer counts on one."""

    def __init__(self, decline: Callable[[VirtualAddress], None]) -> None:
        """None waits.

        Args:
            decline: Answers a member's oldest offer: nothing is wanted now.
        """
        self._decline = decline
        self._waiting: dict[VirtualAddress, tuple[float, Offer]] = {}

    def keeps(self, source: Source, offer: Offer, availability: Availability, now: float) -> bool:
        """Whether all that could be chosen of an offer is not listed here yet: then it waits.

        Args:
            source: Who offers.
            offer: What.
            availability: The transfer's state.
            now: The present.
        """
        listed = availability.total
        if listed and source.tier is not Tier.ORIGIN:
            return False  # of any other than an origin something else can be chosen
        if all(number < listed for number in offer.numbers) or any(
            number < listed and number in source.has and availability.wanted(number)
            for number in offer.numbers
        ):
            return False
        if self._waiting.pop(source.address, None):
            self._decline(source.address)
        self._waiting[source.address] = (now + EARLY_SECONDS, offer)
        return True

    def take(self) -> list[tuple[VirtualAddress, Offer]]:
        """All that wait, as the list has grown; in the order in which they came."""
        waiting = [(member, offer) for member, (_, offer) in self._waiting.items()]
        self._waiting.clear()
        return waiting

    def tick(self, now: float) -> None:
        """Decline what has waited long enough."""
        for member in [one for one, (until, _) in self._waiting.items() if now >= until]:
            del self._waiting[member]
            self._decline(member)

    def drop(self, member: VirtualAddress) -> None:
        """A member is gone."""
        self._waiting.pop(member, None)
