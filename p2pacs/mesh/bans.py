"""Strikes against members that misbehave, and their quarantine. Pure: no clock, no I/O."""

from __future__ import annotations

from typing import Final

from attrs import frozen

from p2pacs.ids import VirtualAddress
from p2pacs.limits import STRIKES


@frozen
class BansTuning:
    """How long strikes and quarantines last."""

    quarantine_seconds: float = 600.0
    """How long a struck-out member is neither dialled nor let in."""
    forgiven_seconds: float = 3600.0
    """A strike older than this no longer counts."""


TUNING: Final = BansTuning()
"""What is used unless a test hands in another."""


class Bans:
    """Strikes and quarantines by member."""

    def __init__(self, tuning: BansTuning = TUNING) -> None:
        self._tuning = tuning
        self.strikes: dict[VirtualAddress, list[float]] = {}
        """When each member was struck; not those whose quarantine has begun."""
        self._until: dict[VirtualAddress, float] = {}

    def strike(self, member: VirtualAddress, now: float) -> bool:
        """Count a strike; whether it is the last one and the member is quarantined now."""
        since = now - self._tuning.forgiven_seconds
        strikes = [*(at for at in self.strikes.get(member, ()) if at > since), now]
        if len(strikes) < STRIKES:
            self.strikes[member] = strikes
            return False
        self.strikes.pop(member, None)
        self._until[member] = now + self._tuning.quarantine_seconds
        return True

    def quarantined(self, member: VirtualAddress, now: float) -> bool:
        """Whether a member is to be left alone."""
        until = self._until.get(member)
        if until is None:
            return False
        if now < until:
            return True
        del self._until[member]
        return False
