"""Which studies go when space is needed: a pure decision.

Least recently used first; never a pinned study, and never the last copy: a study goes
only when its chunks are known to be whole elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable

from attrs import frozen

from p2pacs.ids import StudyId


@frozen
class EvictionCandidate:
    """A study that could go."""

    study: StudyId
    bytes: int
    last_used: float
    """Seconds; only the order matters."""
    pinned: bool
    copies: int
    """Other members that are known to hold all of it."""


def choose(candidates: Iterable[EvictionCandidate], need: int) -> list[StudyId]:
    """The studies to drop so that ``need`` bytes come free, longest unused first.

    Returns:
        Nothing if all that may go would not be enough: then dropping helps nobody.
    """
    chosen: list[StudyId] = []
    free = 0
    may_go = (each for each in candidates if not each.pinned and each.copies > 0 and each.bytes > 0)
    for candidate in sorted(may_go, key=lambda each: (each.last_used, each.study)):
        if free >= need:
            break
        chosen.append(candidate.study)
        free += candidate.bytes
    return chosen if free >= need else []
