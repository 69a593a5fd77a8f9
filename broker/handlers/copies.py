"""How far members are with a study: those that it is addressed to, and replicas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from attrs import frozen

from broker.database.recipients import list_recipients
from broker.handlers.interfaces import Parts
from p2pacs.identity.directory import Role
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.limits import COPIES

Completeness = Callable[[StudyId, VirtualAddress], float]
"""Which fraction (0 to 1) of a study a linked member has, as far as the swarm knows."""

_WHOLE: Final = 1000
"""Thousandths."""


@frozen
class Copy:
    """What a member has of a study."""

    member: VirtualAddress
    version: int
    """Newest version of which it says that it has every chunk; 0: none."""
    share: int
    """Thousandths of the newest version."""


class Copies:
    """Knows of linked members."""

    def __init__(self, parts: Parts, completeness: Completeness) -> None:
        self._parts = parts
        self._completeness = completeness

    async def of(self, study: StudyId, newest: int) -> list[Copy]:
        """Recipients, in the order of addresses, then replicas.

        Args:
            study: which.
            newest: version that is out.
        """
        parts = self._parts
        named = await parts.database.run(lambda c: list_recipients(c, study))
        replicas = [one for one in parts.book.directory.members if one.role is Role.REPLICA]
        members = [one.member for one in named]
        members += [one.address for one in replicas if not one.revoked]
        return [self._copy(study, one, newest) for one in members[:COPIES]]

    def _copy(self, study: StudyId, member: VirtualAddress, newest: int) -> Copy:
        version = self._parts.holders.whole_version(member, study)
        if version >= newest > 0:
            return Copy(member, version, _WHOLE)
        share = int(_WHOLE * self._completeness(study, member))
        return Copy(member, version, min(share, _WHOLE - 1))  # until it says that it has all
