"""Room in a full store: staged studies are a cache of what the PACS and the replicas have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import structlog

from p2pacs.ids import StudyId
from p2pacs.limits import MIB
from p2pacs.retention.eviction import EvictionCandidate, choose
from p2pacs.store import ChunkStore

log = structlog.get_logger(__name__)

SPARE: Final = 512 * MIB
"""Freed at once if that is possible: recycling again for every version would be slow."""


class Room:
    """Recycles studies that other members hold in whole, the longest unused first.

    Args:
        store: the full one.
        copies: how many other members are known to hold all of a study.
        dropping: told before a study is dropped (`Node.dropped`).
    """

    def __init__(
        self,
        store: ChunkStore,
        copies: Callable[[StudyId], int],
        dropping: Callable[[StudyId], None],
    ) -> None:
        self._store = store
        self._copies = copies
        self._dropping = dropping

    async def make(self) -> bool:
        """Drop what may go; whether anything did."""
        candidates = [
            EvictionCandidate(
                study=info.study,
                bytes=info.bytes,
                last_used=info.last_used,
                pinned=info.pinned,
                copies=self._copies(info.study),
            )
            for info in self._store.studies()
        ]
        chosen = choose(candidates, SPARE) or choose(candidates, 1)
        for study in chosen:
            self._dropping(study)
            await self._store.drop(study)
        log.info("store was full", recycled=len(chosen))
        return bool(chosen)
