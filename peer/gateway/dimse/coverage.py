"""What of a C-MOVE or C-GET identifier was found, and what nobody knows (pure)."""

from __future__ import annotations

from p2pacs.catalogue.question import Selection
from p2pacs.dimse.backend import MissingInstances
from p2pacs.study.study_index import InstanceEntry, LeftOut


class Coverage:
    """Unique keys of a selection against what there is. Fed while a retrieval goes on."""

    def __init__(self, selection: Selection) -> None:
        self._studies = set(selection.studies)
        self._series = set(selection.series)
        self._instances = set(selection.instances)
        self.is_empty = True
        """Whether nothing at all was found, not even something that the PACS did not give."""

    def study(self, uid: str) -> None:
        """A study is in the catalogue."""
        self._studies.discard(uid)

    def instance(self, entry: InstanceEntry) -> None:
        """An instance that was asked for is there."""
        self.is_empty = False
        self._series.discard(entry.series_instance_uid)
        self._instances.discard(entry.sop_instance_uid)

    def missing(self, missing: MissingInstances, left_out: LeftOut) -> None:
        """These are said to be missing; ``left_out`` of the study, in series that nobody knows."""
        if left_out.count:
            self._series.clear()
        if missing.count:
            self.is_empty = False
        self._instances.difference_update(missing.uids)

    def unknown(self) -> MissingInstances:
        """What was asked for by UID and is nowhere; nobody knows how many instances a study or a
        series has that is not there, so it counts as one."""
        if self._instances:
            reason = "an instance that is asked for is not in the study"
            return MissingInstances(reason, tuple(sorted(self._instances)), len(self._studies))
        if self._series:
            reason = "a series that is asked for is not in the study"
            return MissingInstances(reason, (), len(self._series) + len(self._studies))
        reason = "a study that is asked for is not in the catalogue here"
        return MissingInstances(reason, (), len(self._studies))
