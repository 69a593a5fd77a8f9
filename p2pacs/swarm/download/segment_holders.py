"""Whom to ask for a segment of a study's list of chunks, and in which order."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import trio
from attrs import frozen

from p2pacs.ids import ChunkId, VirtualAddress
from p2pacs.mesh.mesh import Mesh
from p2pacs.study.manifest import Root, segment_start
from p2pacs.swarm.scheduling.backoff import Backoff
from p2pacs.swarm.studies.study_swarm import OTHERS_SECONDS, StudySwarm


@frozen
class SegmentTuning:
    """Who is left alone for how long."""

    retry_seconds: float = 0.2
    """A member that did not give a segment is not asked for it again for this long, doubled each
    time (two members that both lacked one asked each other every 2 ms; a broker that is about to
    get one of the study's sender has it a moment later) ..."""
    retry_limit: float = 8.0
    """... up to this."""
    spare_seconds: float = 2.0
    """Who sends a study is asked for the list of a new version by the broker alone, for this long:
    the broker gives it to the others. Each list went three times over that narrow line before, a
    three hundredth of all that it carried."""


TUNING: Final = SegmentTuning()
"""What is used unless a test hands in another."""


class SegmentHolders:
    """The holders of one study's segments."""

    def __init__(
        self,
        swarm: StudySwarm,
        mesh: Mesh,
        holders: Collection[VirtualAddress],
        tuning: SegmentTuning = TUNING,
    ) -> None:
        """Nobody was asked yet.

        Args:
            swarm: Who takes part.
            mesh: The links.
            holders: Who may have the study, linked or not yet.
            tuning: Who is left alone for how long.
        """
        self._tuning = tuning
        self._swarm = swarm
        self._mesh = mesh
        self._holders = holders
        self._patient_until = trio.current_time() + OTHERS_SECONDS
        self._spared_until = trio.current_time() + tuning.spare_seconds
        self._refused = Backoff[tuple[VirtualAddress, ChunkId, bool]](
            tuning.retry_seconds, tuning.retry_limit
        )
        """Who did not give which segment, and whether it must have had it."""

    def rooted(self) -> None:
        """There is a newer root."""
        self._spared_until = trio.current_time() + self._tuning.spare_seconds

    def heard(self, member: VirtualAddress) -> None:
        """A member says something new: it may have what it had not."""
        self._refused.forget(lambda key: key[0] == member)

    def refused(self, member: VirtualAddress, root: Root, number: int) -> None:
        """A member did not give a segment."""
        key = (member, root.segments[number], self._must_have(member, root, number))
        self._refused.failed(key, trio.current_time())

    def to_ask(
        self, root: Root, number: int, busy: Collection[VirtualAddress]
    ) -> list[VirtualAddress]:
        """Whom to ask, in turn: who must have it, spread; others if there is nobody.

        A list of chunks grows from its beginning, so whoever has a chunk of a segment, or a later
        one, has its list. The broker is linked first: so that not all ask it at once, it counts
        as one of the holders while others are still being dialled, and comes last from then on.

        Args:
            root: The newest.
            number: Of the segment.
            busy: Who is asked for another one just now.
        """
        me, brokers = bytes(self._mesh.me), self._mesh.brokers
        now = trio.current_time()
        early = now < self._patient_until
        nearest = min(self._holders, key=lambda one: _distance(me, bytes(one)), default=None)
        others = nearest is not None and nearest not in brokers

        def turn(member: VirtualAddress) -> tuple[bool, bytes]:
            return member in brokers and others, _distance(me, bytes(member))

        found: dict[bool, list[VirtualAddress]] = {True: [], False: []}
        for member in sorted(self._swarm.partners, key=turn):
            must = self._must_have(member, root, number)
            waits = (member in brokers and others and early) or self._is_spared(member, now)
            if not waits and self._refused.ready((member, root.segments[number], must), now):
                found[must].append(member)
        asked = found[True] or found[False]
        return sorted(asked, key=lambda member: (member in brokers and others, member in busy))

    def can_be_had(
        self, root: Root, number: int, busy: Collection[VirtualAddress], before: int = 0
    ) -> bool:
        """Whether a partner must have a segment, and is not asked for another one: segments that
        are asked for ahead come over several lines.

        Args:
            root: The newest.
            number: Of the segment.
            busy: Who is asked for another one just now.
            before: So many others are about to be asked for, of whom is not chosen yet.
        """
        now = trio.current_time()
        free = sum(
            member not in busy
            and member not in self._mesh.brokers
            and not self._is_spared(member, now)
            for member in self._swarm.partners
            if self._must_have(member, root, number)
        )
        return free > before

    def _is_spared(self, member: VirtualAddress, now: float) -> bool:
        """Whether a member sends the study, and a broker that takes part may be asked."""
        if member != self._swarm.sender or now >= self._spared_until:
            return False
        brokers = self._mesh.brokers
        return self._mesh.me not in brokers and not brokers.isdisjoint(self._swarm.partners)

    def _must_have(self, member: VirtualAddress, root: Root, number: int) -> bool:
        """Whether a partner knows the list of a segment's chunks: it has one of them, or later."""
        partner = self._swarm.partners.get(member)
        return (
            partner is not None
            and partner.version >= root.version
            and partner.has.highest >= segment_start(number)
        )


def _distance(one: bytes, other: bytes) -> bytes:
    """A different order of the others for each member."""
    return bytes(a ^ b for a, b in zip(reversed(one), reversed(other), strict=True))
