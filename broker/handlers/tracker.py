"""Who holds or fetches which study, as members announce it; in memory, without I/O.

Members announce everything anew when their link opens, so nothing is kept on disk.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from attrs import frozen

from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.limits import HOLDERS, JOINED_STUDIES
from p2pacs.wire.messages.messages import Announce

KNOWN: Final = 64 * JOINED_STUDIES
"""Studies that one member may announce: a replica's disk holds fewer."""


@frozen
class _Held:
    """What a member says that it has of a study."""

    complete: bool
    whole: int
    """Newest version of which it said that it has all; 0: none."""


class HolderTracker:
    """The broker's view of the swarm."""

    def __init__(self, most: int = KNOWN) -> None:
        """Nobody holds anything.

        Args:
            most: studies of one member, and studies granted and not yet fetched, at most.
        """
        self._most = most
        self._held: dict[StudyId, dict[VirtualAddress, _Held]] = {}
        self._studies: dict[VirtualAddress, dict[StudyId, None]] = {}
        self._granted: dict[StudyId, dict[VirtualAddress, None]] = {}

    def granted(self, member: VirtualAddress, study: StudyId) -> None:
        """A member may fetch a study now, and will say so: whoever asks meanwhile can dial it."""
        if study not in self._studies.get(member, ()):
            self._granted.setdefault(study, {})[member] = None
            if len(self._granted) > self._most:  # asked for, and never fetched
                del self._granted[next(iter(self._granted))]

    def announce(self, member: VirtualAddress, news: Announce) -> Collection[VirtualAddress]:
        """Take note of an announcement.

        Returns:
            Members that fetch the study and do not know yet that this one has it, or has it
            in whole by now.
        """
        study = StudyId(news.study)
        self._settle(member, study)
        if not news.held:
            self._forget(member, study)
            return ()
        theirs = self._studies.setdefault(member, {})
        if study not in theirs and len(theirs) >= self._most:
            return ()
        theirs[study] = None
        holding = self._held.setdefault(study, {})
        before = holding.get(member)
        whole = news.version if news.complete else before.whole if before else 0
        holding[member] = _Held(news.complete, whole)
        if before is not None and (before.complete or not news.complete):
            return ()
        return [other for other, held in holding.items() if not held.complete and other != member]

    def gone(self, member: VirtualAddress) -> None:
        """A member's link closed: it will announce all again."""
        for study in self._studies.get(member, {}).copy():
            self._forget(member, study)
        for study in [study for study, members in self._granted.items() if member in members]:
            self._settle(member, study)

    def of(self, study: StudyId, asking: VirtualAddress | None = None) -> list[VirtualAddress]:
        """Members that hold or fetch the study, or soon will; those with all of it first."""
        holding = self._held.get(study, {})
        ordered = sorted(holding, key=lambda member: (not holding[member].complete, member))
        ordered += self._granted.get(study, ())
        return [member for member in ordered if member != asking][:HOLDERS]

    def held_by(self, member: VirtualAddress) -> Collection[StudyId]:
        """Studies that a member holds or fetches, in the order in which it said so first. Changes
        with the next announcement."""
        return self._studies.get(member, {}).keys()

    def is_whole(self, member: VirtualAddress, study: StudyId) -> bool:
        """Whether a member says that it holds all of a study."""
        held = self._held.get(study, {}).get(member)
        return held is not None and held.complete

    def whole_version(self, member: VirtualAddress, study: StudyId) -> int:
        """The newest version of a study of which a linked member said that it has all; 0: none."""
        held = self._held.get(study, {}).get(member)
        return 0 if held is None else held.whole

    def whole(self, study: StudyId, asking: VirtualAddress) -> bool:
        """Whether another member says that it holds all of the study."""
        holding = self._held.get(study, {})
        return any(held.complete for member, held in holding.items() if member != asking)

    def _settle(self, member: VirtualAddress, study: StudyId) -> None:
        """It has said what it does."""
        granted = self._granted.get(study, {})
        granted.pop(member, None)
        if not granted:
            self._granted.pop(study, None)

    def _forget(self, member: VirtualAddress, study: StudyId) -> None:
        holding = self._held.get(study, {})
        holding.pop(member, None)
        if not holding:
            self._held.pop(study, None)
        self._studies.get(member, {}).pop(study, None)
        if not self._studies.get(member):
            self._studies.pop(member, None)
