"""How far one study of a C-MOVE or C-GET is."""

from __future__ import annotations

from attrs import define

from p2pacs.catalogue.records import StudyRecord
from p2pacs.catalogue.views import study_view
from p2pacs.dataset.json_model import number
from p2pacs.dimse.backend import Ending
from peer.retrieval.audit import AuditedRead, ReadEnding, ReadOutcome
from peer.retrieval.cursor import Cursor, Wanted
from peer.retrieval.study_fetch import StudyFetch


@define(eq=False)
class StudyDelivery:
    """One study of a retrieval."""

    fetch: StudyFetch
    cursor: Cursor
    read: AuditedRead
    promised: int
    """Instances that the catalogue tells of; 0 where only a part is asked for."""
    wanted: Wanted | None
    """What is asked for of it; None: all."""
    given: int = 0
    """Instances that were read, or are being read."""
    arrived: int = 0
    """Instances that the receiver took."""
    short: int = 0
    """Instances that the catalogue tells of and the study has not."""

    @property
    def total(self) -> int:
        """Instances that this study gives, or lacks, as far as known."""
        known = self.given + self.cursor.expected
        if self.fetch.settled:
            return known + self.fetch.left_out.count + self.short
        return max(known, self.promised)

    def ended(self, ending: Ending) -> ReadEnding:
        """What became of it: done only if all of it arrived."""
        sent, total = self.arrived, self.total
        if sent >= total and (ending is Ending.OVER or (total and self.fetch.settled)):
            outcome = ReadOutcome.DONE
        elif ending is Ending.INTERRUPTED:
            outcome = ReadOutcome.INTERRUPTED
        else:
            outcome = ReadOutcome.FAILED
        return ReadEnding(outcome, sent, max(sent, total))


def promised(record: StudyRecord) -> int:
    """Instances that the catalogue tells of; 0 if it does not."""
    return number(study_view(record), "NumberOfStudyRelatedInstances") or 0
