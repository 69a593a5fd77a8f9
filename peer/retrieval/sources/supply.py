"""Where a study that is read here comes from."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from attrs import frozen

from p2pacs.swarm.download.transfer import Transfer
from p2pacs.swarm.scheduling.priority import Priority
from peer.retrieval.sources.resolve import ResolvedStudy


@frozen
class Supply:
    """How a `StudyFetch` gets what it lacks (`peer.retrieval.reader` provides it)."""

    start: Callable[[ResolvedStudy, Priority], Transfer]
    """Fetch, or go on fetching."""
    again: Callable[[], Awaitable[ResolvedStudy]]
    """Ask anew who has the study."""
    make_room: Callable[[int], Awaitable[bool]]
    """Recycle so many bytes; whether they came free."""
