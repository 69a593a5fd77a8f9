"""One member that gives chunks of a study, as the decisions see it."""

from __future__ import annotations

from enum import IntEnum

from p2pacs.bitfield import Bitfield
from p2pacs.ids import VirtualAddress
from p2pacs.line.pacing import RateMeter
from p2pacs.swarm.scheduling.rarity_queues import RarityQueues


class Tier(IntEnum):
    """Who is asked first when any would do."""

    HOSPITAL = 0
    REPLICA = 1
    ORIGIN = 2
    """Who made it, and gives each chunk once: the broker, or the member that sends the study."""


class Source:
    """One linked member that takes part in the study."""

    __slots__ = (
        "address",
        "asked_bytes",
        "bytes_received",
        "has",
        "in_flight",
        "meter",
        "moved_at",
        "offers",
        "on_line",
        "queues",
        "stalls",
        "suspended_until",
        "tier",
    )

    def __init__(
        self,
        address: VirtualAddress,
        tier: Tier,
        has: Bitfield,
        *,
        offers: bool = False,
        on_line: bool = True,
    ) -> None:
        self.address = address
        self.tier = tier
        self.has = has
        self.offers = offers
        """Nothing is asked of it but what it offers."""
        self.on_line = on_line
        """Whether it is reached over the host's line."""
        self.queues = RarityQueues()
        self.in_flight: dict[int, int] = {}
        """Number → bytes still to come, in the order of asking."""
        self.asked_bytes = 0
        """Bytes in flight in all."""
        self.bytes_received = 0
        self.meter = RateMeter()
        self.moved_at = 0.0
        """When it was last asked while idle, or last sent something."""
        self.suspended_until = 0.0
        self.stalls = 0
        """Stalls in a row: the pause grows with them."""
