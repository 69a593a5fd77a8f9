"""What all publications of a broker share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from attrs import field, frozen

from p2pacs.budget import Budget
from p2pacs.identity.keys import SigningKey
from p2pacs.ids import StudyId
from p2pacs.publish.changes import FoundEqual
from p2pacs.publish.coder import Coder
from p2pacs.publish.source import InstanceSource, StudyKeySource
from p2pacs.publish.version_writer import PublishHooks
from p2pacs.store import ChunkStore


@frozen
class PublishContext:
    """What all publications share."""

    source: InstanceSource
    store: ChunkStore
    studies: StudyKeySource
    signing_key: SigningKey
    hooks: PublishHooks
    recover: Callable[[StudyId], Awaitable[bool]]
    """Fetch what was published of a study back from other members; whether that worked."""
    budget: Budget
    coder: Coder
    chunk_bytes: int
    found_equal: FoundEqual = field(factory=FoundEqual)
