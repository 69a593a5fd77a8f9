"""What of a study became another in its source: since it was published, and while it is read.

Nothing here asks a source or writes a version: a publication says what it was told and what it
read, in that order, and hears what it must read again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from attrs import define, field

from p2pacs.ids import StudyId
from p2pacs.publish.comparison import (
    beside,
    changed,
    corrected,
    fingerprint,
    moved,
    study_fingerprint,
    told_otherwise,
)
from p2pacs.publish.source import Description
from p2pacs.study.study_index import InstanceEntry

ANEW: Final = 3
"""So often one publication begins anew because the study was corrected while it was read: a source
that tells now this, now that, is no reason to read for ever."""


@define(eq=False)
class FoundEqual:
    """What a source told when it last agreed with what is published: shared by all publications.

    Who tells the same again need not be compared again: comparing reads what is published of every
    instance. It is forgotten at the end of the program, and then all is compared once more.
    """

    instances: dict[StudyId, bytes] = field(factory=dict)
    """Fingerprints of the instances, when all of them were last found equal or read again."""
    studies: dict[StudyId, bytes] = field(factory=dict)
    """Fingerprints of the study itself, when the instances agreed with it, or were read in whole:
    some sources correct their database and not their files."""


class SourceChanges:
    """What the source tells of one study over one publication, against what is out and was read.

    Methods that compare instances take milliseconds a thousand of them: call them in a thread.
    """

    def __init__(self, study: StudyId, found_equal: FoundEqual) -> None:
        self._study = study
        self._found_equal = found_equal
        self._listed: Description | None = None
        self._instances: bytes | None = None
        """The fingerprint of that list."""
        self._corrected: bytes | None = None
        """What the source tells of the study, if no instance that was published says so."""
        self._told: Description | None = None
        """What the source told last."""
        self._is_steady = True
        """Whether the instances that were read are listed now as before they were read."""
        self._anew = 0

    @property
    def listed(self) -> Description | None:
        """The newest list of instances; None if there is none since all was begun anew."""
        return self._listed

    @property
    def is_corrected(self) -> bool:
        """Whether patient or study were corrected: then nothing that is out counts as known."""
        return self._corrected is not None

    def begins_anew(self, described: Description, *, has_read: bool) -> bool:
        """Whether what was read so far may be as it was before a correction: it all is read again.

        Args:
            described: what the source tells now, with or without instances.
            has_read: whether anything was read since the beginning.
        """
        before, self._told = self._told, described
        if before is None or not has_read or self._anew == ANEW:
            return False
        if not told_otherwise(before, described):
            return False
        self._anew += 1
        self._corrected = study_fingerprint(described)
        self._listed = self._instances = None
        return True

    def compare_study(self, described: Description, published: Mapping[str, InstanceEntry]) -> bool:
        """Whether patient or study were corrected since they were published; slow.

        Once that is so, it stays so to the end of the publication: see `is_corrected`.

        Args:
            described: what the source tells now.
            published: SOP Instance UID → what is out.
        """
        if self.is_corrected or not published:
            return self.is_corrected
        told = study_fingerprint(described)
        if self._found_equal.studies.get(self._study) == told:
            return False
        if corrected(described, published.values()):
            self._corrected = told
        else:
            self._found_equal.studies[self._study] = told
        return self.is_corrected

    def note_list(self, described: Description, *, has_read: bool) -> None:
        """The source listed the instances; slow.

        Args:
            described: with instances.
            has_read: whether anything was read since the beginning. What was read between two
                lists that differ may be as one of them says, or as the other.
        """
        before, self._instances = self._instances, fingerprint(described)
        self._listed = described
        if has_read:
            self._is_steady = self._is_steady and before == self._instances

    def replaced(
        self, published: Mapping[str, InstanceEntry], withdrawn: Collection[str]
    ) -> set[str]:
        """Published instances that are others in the newest list, or may be; slow.

        Args:
            published: SOP Instance UID → what was out at the beginning.
            withdrawn: which of them are gone from the source.
        """
        described = self._listed
        if described is None or not published:
            return set()
        listed = described.instances
        if self.is_corrected:
            return published.keys() & listed.keys()
        if self._found_equal.instances.get(self._study) == self._instances:
            return set()
        near = set(beside(withdrawn, published)) & listed.keys()
        return {*changed(listed, published), *moved(described, published), *near}

    def read_what_differed(self) -> None:
        """All that the newest list has is out, as far as it comes: who tells the same again has
        nothing new, unless it told something else while it was read."""
        if self._is_steady and self._instances is not None:
            self._found_equal.instances[self._study] = self._instances

    def read_in_whole(self) -> None:
        """All is out: after a correction, what the source tells of the study counts as agreed with,
        whatever the instances say that it gave."""
        if self._corrected is not None:
            self._found_equal.studies[self._study] = self._corrected
