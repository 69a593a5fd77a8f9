"""What a study swarm needs of the rest of the swarm."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from p2pacs.ids import VirtualAddress


class ActiveDownload(Protocol):
    """What a study swarm asks of the download of its study (`p2pacs.swarm.download`)."""

    @property
    def fetching(self) -> bool:
        """Whether it has a list of chunks: before, it cannot choose what to ask for."""

    @property
    def priority(self) -> int:
        """How urgent it is."""

    def owes(self, member: VirtualAddress) -> bool:
        """Whether something was asked of a member and is not here yet."""

    def gained(self, member: VirtualAddress, numbers: Iterable[int]) -> None:
        """A partner has more chunks."""

    def lost(self, member: VirtualAddress, numbers: Iterable[int]) -> None:
        """A partner lacks chunks that it was taken to have."""
