"""What each member's part in studies costs this host in memory. Pure: no clock, no I/O.

A member tells what it has of a study, and this host keeps it: a bit field of up to 128 KiB for each
of up to 1,024 studies, whether it knows them or not. So that is counted before it is kept.
"""

from __future__ import annotations

from p2pacs.errors import ProtocolError
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.limits import MIB, PARTNER_BYTES

STUDY_BYTES = 2048
"""A study swarm with one partner and an empty bit field (1.8 KiB on CPython 3.11)."""


class PartnerBudget:
    """Bytes held for each member."""

    def __init__(self, most: int = PARTNER_BYTES) -> None:
        """Nothing is held yet.

        Args:
            most: Bytes for one member.
        """
        self._most = most
        self._held: dict[VirtualAddress, dict[StudyId, int]] = {}
        self._sum: dict[VirtualAddress, int] = {}

    def held(self, member: VirtualAddress) -> int:
        """Bytes that are held for a member."""
        return self._sum.get(member, 0)

    def keep(self, member: VirtualAddress, study: StudyId, size: int) -> None:
        """From now on a member's bit field of a study takes so many bytes.

        Raises:
            ProtocolError: that is more than a member may cost; nothing has changed.
        """
        size += STUDY_BYTES
        total = self.held(member) + size - self._held.get(member, {}).get(study, 0)
        if total > self._most:
            raise ProtocolError(
                f"takes part in so much that it costs more than {self._most // MIB} MiB"
            )
        self._held.setdefault(member, {})[study] = size
        self._sum[member] = total

    def give_back(self, member: VirtualAddress, study: StudyId) -> None:
        """A member takes no part in a study any more."""
        studies = self._held.get(member, {})
        total = self.held(member) - studies.pop(study, 0)
        if studies:
            self._sum[member] = total
        else:
            self._held.pop(member, None)
            self._sum.pop(member, None)
