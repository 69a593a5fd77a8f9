"""What the broker itself received: from the PACS, and of its own studies back from members."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import structlog
import trio
from attrs import field, frozen
from sqlalchemy import Connection

from broker.database.db import BrokerDatabase, now
from broker.members import traffic
from p2pacs.errors import LocalError
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.publish import PublishProgress

log = structlog.get_logger(__name__)

EVERY: Final = 60.0
"""Seconds between two looks."""

Sums = dict[tuple[bytes, StudyId], int]
"""Giver and study → bytes."""


@frozen
class OwnTraffic:
    """Counts it among what members report."""

    database: BrokerDatabase
    me: VirtualAddress
    publications: Mapping[StudyId, PublishProgress]
    take: Callable[[], Mapping[tuple[StudyId, VirtualAddress], int]]
    """What came from members since the last call."""
    _read: dict[PublishProgress, int] = field(factory=dict, init=False)
    """How much of each publication was counted."""

    async def run(self) -> None:
        """Count until cancelled."""
        while True:
            await trio.sleep(EVERY)
            await self.count()

    async def count(self) -> None:
        """Count what came since the last call; what cannot be written now is lost."""
        sums = self._from_pacs()
        for (study, giver), size in self.take().items():
            sums[giver.raw, study] = sums.get((giver.raw, study), 0) + size
        if not sums:
            return

        def work(connection: Connection) -> None:
            at = now()
            for (giver, study), size in sums.items():
                traffic.count(connection, at, study, size, receiver=self.me.raw, giver=giver)

        try:
            await self.database.run(work)
        except LocalError as error:
            log.warning("traffic is not counted", error=str(error))

    def _from_pacs(self) -> Sums:
        sums: Sums = {}
        current = list(self.publications.values())
        for progress in current:
            fresh = progress.bytes_read - self._read.get(progress, 0)
            if fresh > 0:
                sums[traffic.PACS, progress.study] = fresh
                self._read[progress] = progress.bytes_read
        for progress in self._read.keys() - set(current):
            del self._read[progress]
        return sums
