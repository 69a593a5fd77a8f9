"""Strikes against members that misbehave, and their quarantine. Pure: no clock, no I/O."""

from __future__ import annotations

from typing import Final

from p2pacs.ids import VirtualAddress
from p2pacs.limits import STRIKES

QUARANTINE_SECONDS: Final = 600.0
"""How long a struck-out member is neither dialled nor let in."""

FORGIVEN_SECONDS: Final = 3600.0
"""A strike older than this no longer counts."""


class Bans:
    """Who was struck how often."""

    def __init__(self) -> None:
        self._strikes: dict[VirtualAddress, list[float]] = {}
        self._until: dict[VirtualAddress, float] = {}

    def strike(self, member: VirtualAddress, now: float) -> bool:
        """Count a strike; whether it is the last one and the member is quarantined now."""
        strikes = [at for at in self._strikes.get(member, ()) if now - at < FORGIVEN_SECONDS] + [
            now
        ]
        if len(strikes) < STRIKES:
            self._strikes[member] = strikes
            return False
        self._strikes.pop(member, None)
        self._until[member] = now + QUARANTINE_SECONDS
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
