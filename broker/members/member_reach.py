"""How the broker saw a member that asked it: its clock, and its addresses."""

from __future__ import annotations

from attrs import frozen


@frozen
class MemberReach:
    """What a trial found (`broker.handlers.reach`)."""

    at: float
    """When, on trio's clock."""
    clock: float
    """Seconds by which the member's clock is ahead of the broker's, as far as its question told."""
    reached: tuple[str, ...]
    """Its addresses at which it answered, with its own certificate."""
    missed: tuple[str, ...]
