"""How far one study of a C-MOVE or C-GET is."""

from __future__ import annotations

from attrs import define, field

from p2pacs.dimse.backend import Ending
from peer.retrieval.audit import AuditedRead, ReadEnding, ReadOutcome
from peer.retrieval.instances.cursor import Cursor, Wanted
from peer.retrieval.instances.live_index import Known
from peer.retrieval.study_fetch import StudyFetch


@define(eq=False)
class StudyDelivery:
    """One study of a retrieval."""

    fetch: StudyFetch
    cursor: Cursor
    read: AuditedRead
    promised: int
    """Instances that the catalogue tells of, of what is asked for; 0 if it does not."""
    wanted: Wanted | None
    """What is asked for of it; None: all."""
    given: list[Known] = field(factory=list, repr=False)
    """Instances that were read, or are being read."""
    arrived: int = 0
    """Instances that the receiver took."""
    short: int = 0
    """Instances that the catalogue tells of and the study has not."""

    def replaced(self) -> tuple[str, ...]:
        """SOP Instance UIDs of which others than those that were given are in the newest version:
        the PACS replaced or corrected them meanwhile."""
        known = self.fetch.known
        return tuple(
            one.entry.sop_instance_uid
            for one in self.given
            if known[one.number - 1].entry.sha256 != one.entry.sha256
        )

    @property
    def total(self) -> int:
        """Instances that this study gives, or lacks, as far as known."""
        known = len(self.given) + self.cursor.expected
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
