"""What the two senders have in common: the paced line's, and that of links which are not paced."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Protocol

import trio

from p2pacs.ids import StudyId, VirtualAddress

ReadHeld = Callable[[VirtualAddress, StudyId, list[int]], Awaitable[list[tuple[int, bytes]]]]
"""The chunks that can be read; the others are refused."""

Sent = Callable[[VirtualAddress, int], None]
"""So many bytes of chunks went to a member."""


class ChunkSender(Protocol):
    """Sends chunks to the members that ask for them."""

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Send until cancelled."""

    def ask(
        self, member: VirtualAddress, study: StudyId, numbers: Sequence[int]
    ) -> Collection[int]:
        """A member asks for chunks that are here; the numbers that it does not get now."""

    def cancel(self, member: VirtualAddress, study: StudyId, numbers: Collection[int]) -> None:
        """A member no longer needs these."""

    def drop(self, member: VirtualAddress, study: StudyId | None = None) -> None:
        """A member is gone, or wants nothing more of a study."""

    def promised(self, member: VirtualAddress) -> int:
        """Bytes that a member was promised and that are not yet sent."""

    def changed(self) -> None:
        """Somebody wants more than before."""

    def gained(self) -> None:
        """There is more to give than before."""

    def drained(self, member: VirtualAddress) -> None:
        """A member's link can take a block again."""
