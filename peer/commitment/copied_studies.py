"""Studies of which other members proved copies enough: safe, though the PACS has them not yet."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

import structlog
import trio
from attrs import define, frozen

from p2pacs.errors import P2PacsError
from p2pacs.ids import StudyId
from peer.spool.instance_progress import InstanceProgress

log = structlog.get_logger(__name__)

CountCopies = Callable[[StudyId, int, int], Awaitable[int]]
"""How many members prove that they hold a version of a study in whole; so many are wanted
(`p2pacs.retention.proven_copies.ProvenCopies.count_whole`)."""


@frozen
class CopiesTuning:
    """How often proofs are looked for: each costs its prover the reading of the whole study."""

    first: float = 30.0
    """Seconds after a study was not found often enough; each pause is twice as long ..."""
    longest: float = 1800.0
    """... up to this."""


@define
class _Sought:
    """What is known of the copies of a study."""

    proven: int = 0
    """The newest version of which there are enough."""
    pause: float = 0.0
    next: float = 0.0
    """When to look again, by trio's clock."""


class CopiedStudies:
    """What was proved since the start."""

    def __init__(
        self, count: CountCopies, wanted: int, tuning: CopiesTuning = CopiesTuning()
    ) -> None:
        """Nothing is known yet.

        Args:
            count: asks the members.
            wanted: so many copies are enough; 0: none are.
            tuning: pauses.
        """
        self._count = count
        self._wanted = wanted
        self._tuning = tuning
        self._studies: dict[StudyId, _Sought] = {}
        self._one = trio.Lock()

    def is_safe(self, one: InstanceProgress) -> bool:
        """Whether the PACS has an instance, or members enough have a version that has it."""
        if one.is_safe or one.study is None or not one.version:
            return one.is_safe
        sought = self._studies.get(one.study)
        return sought is not None and one.version <= sought.proven

    async def look(self, some: Iterable[InstanceProgress]) -> None:
        """Look for copies of the studies of these, where that is due."""
        if not self._wanted:
            return
        versions = {
            one.study: one.version
            for one in some
            if one.study is not None and one.version and not self.is_safe(one)
        }
        async with self._one:  # a disk that proves one after the other is read in one piece
            for study, version in versions.items():
                await self._look(study, version)

    async def _look(self, study: StudyId, version: int) -> None:
        sought, tuning = self._studies.setdefault(study, _Sought()), self._tuning
        if version <= sought.proven or trio.current_time() < sought.next:
            return
        try:
            found = await self._count(study, version, self._wanted)
        except P2PacsError as error:
            log.warning("copies cannot be looked for", study=study.short, why=str(error))
            found = 0
        if found >= self._wanted:
            log.info("members proved copies enough", study=study.short, copies=found)
            sought.proven, sought.pause, sought.next = version, 0.0, 0.0
            return
        sought.pause = min(2 * sought.pause or tuning.first, tuning.longest)
        sought.next = trio.current_time() + sought.pause
