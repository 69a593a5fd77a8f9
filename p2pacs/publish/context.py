"""What all publications of a program share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from attrs import field, frozen

from p2pacs.concurrency.budget import Budget
from p2pacs.concurrency.urgency import USUAL, Haste
from p2pacs.identity.keys import Verifier
from p2pacs.ids import StudyId
from p2pacs.publish.changes import FoundEqual
from p2pacs.publish.coder import Coder, SliceCoder, code_slice_plain
from p2pacs.publish.source import InstanceSource, StudyKeySource
from p2pacs.publish.version_writer import PublishHooks, SignRoot
from p2pacs.store import ChunkStore


@frozen
class PublishContext:
    """What all publications share."""

    source: InstanceSource
    store: ChunkStore
    studies: StudyKeySource
    sign: SignRoot
    """Makes a root what travels: signed by a broker, or by a member that may."""
    verifier: Verifier
    """Whose manifests are gone on with: those of the brokers of this network."""
    hooks: PublishHooks
    recover: Callable[[StudyId], Awaitable[bool]]
    """Fetch what was published of a study back from other members; whether that worked."""
    budget: Budget
    coder: Coder
    chunk_bytes: int
    slice_coder: SliceCoder = code_slice_plain
    """For what is too large to be coded as a whole."""
    urgency: Haste = USUAL
    """Who is more urgent has its turn at the budget before it."""
    found_equal: FoundEqual = field(factory=FoundEqual)
