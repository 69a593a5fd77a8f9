"""Chunks to store."""

from __future__ import annotations

import hashlib

from p2pacs.ids import ChunkId, StudyId
from p2pacs.store import StudyStore

STUDY = StudyId(bytes(range(16)))
OTHER = StudyId(bytes(range(16, 32)))


def chunk(number: int, size: int = 1000) -> tuple[int, ChunkId, bytes]:
    """Number, id and bytes of a chunk that is never the same twice."""
    data = hashlib.shake_128(str(number).encode()).digest(size)
    return number, ChunkId.of(data), data


async def fill(study: StudyStore, numbers: range, size: int = 1000) -> None:
    for number in numbers:
        await study.put(*chunk(number, size))
