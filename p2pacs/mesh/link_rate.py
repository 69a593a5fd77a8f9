"""How often members open links to this host: what each costs is a handshake. Pure."""

from __future__ import annotations

from collections import deque
from typing import Final

from p2pacs.ids import VirtualAddress
from p2pacs.limits import LINKS_A_MINUTE

MINUTE: Final = 60.0


class LinkRate:
    """When each member opened its last links."""

    def __init__(self) -> None:
        self._opened: dict[VirtualAddress, deque[float]] = {}

    def is_exceeded(self, member: VirtualAddress, now: float) -> bool:
        """A member opens a link: whether it did so too often within a minute; then it counts anew.

        Args:
            member: Which.
            now: Seconds, of any clock that never goes back.
        """
        opened = self._opened.setdefault(member, deque(maxlen=LINKS_A_MINUTE))
        often = len(opened) == LINKS_A_MINUTE and now - opened[0] < MINUTE
        opened.append(now)
        if often:
            opened.clear()
        return often
