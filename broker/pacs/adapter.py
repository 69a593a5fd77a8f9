"""What the broker asks of a PACS, whatever it speaks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from datetime import date
from typing import Final, Protocol

from attrs import field, frozen

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dataset.json_model import Json, number
from p2pacs.dataset.large import LargeInstance
from p2pacs.dataset.vocabulary import INSTANCE_TAGS, tag
from p2pacs.dimse.commitment import Reference
from p2pacs.publish.source import InstanceSource


def _tags(keywords: str) -> tuple[str, ...]:
    return tuple(tag(keyword) for keyword in keywords.split())


STUDY_KEYS: Final = _tags(
    "StudyInstanceUID PatientName PatientID PatientBirthDate PatientSex StudyDate StudyTime "
    "AccessionNumber StudyID StudyDescription ReferringPhysicianName InstitutionName "
    "ModalitiesInStudy NumberOfStudyRelatedSeries NumberOfStudyRelatedInstances"
)
SERIES_KEYS: Final = _tags(
    "SeriesInstanceUID Modality SeriesNumber SeriesDescription SeriesDate SeriesTime "
    "BodyPartExamined ProtocolName Manufacturer StationName NumberOfSeriesRelatedInstances"
)
CLASSES_KEY: Final = tag("SOPClassesInStudy")
UID_KEYS: Final = _tags("SOPInstanceUID InstanceNumber")
LISTED_KEYS: Final = _tags("SOPInstanceUID SOPClassUID InstanceNumber NumberOfFrames")
"""What is asked of the PACS again and again: only what it usually keeps in its database, so that
it answers without opening files. (Orthanc opens every file for a SOP Class UID.)"""

INSTANCE_KEYS: Final = tuple(sorted(INSTANCE_TAGS))
"""What a query at image level may ask for: once, of the study that somebody looks at."""


@frozen
class DateSpan:
    """Study dates from ``first`` to ``last``, both included; None: no end."""

    first: date | None = None
    last: date | None = None


CAPS: Final = 50
"""Limits of PACS are multiples of it: 50, 100, 200, 500, 1000. (Orthanc gives one answer more.)"""

ENOUGH: Final = 200
"""So many answers look as if there were more, whatever their number is."""


@frozen
class Found:
    """What a query gave."""

    usable: list[Json] = field(repr=False)
    is_cut: bool = False
    """The PACS says that it has more."""
    untold: int = 0
    """Answers that failed, or without a UID."""
    is_longest: bool = False
    """No answer before had more: one that had shows that the PACS would have given more."""

    @property
    def may_be_cut(self) -> bool:
        """Whether there may be more."""
        return self.is_longest or self.looks_cut

    @property
    def looks_cut(self) -> bool:
        """Whether the PACS says so, or the number of answers is like a usual limit."""
        count = len(self.usable)
        return self.is_cut or count >= ENOUGH or (count >= CAPS and count % CAPS <= 1)


def unlisted(study: Json, series: Found) -> int:
    """Series that a PACS has in a study and does not list, as far as known: its answer was cut off.

    Args:
        study: attributes at study level; of one patient, as others count for themselves.
        series: the answer to a query for its series.
    """
    count = number(study, "NumberOfStudyRelatedSeries")
    if count is not None:
        return max(0, count - len(series.usable) - series.untold)
    instances = number(study, "NumberOfStudyRelatedInstances")
    listed = [number(one, "NumberOfSeriesRelatedInstances") for one in series.usable]
    known = [one for one in listed if one is not None]
    if instances is not None and len(known) == len(listed):
        return int(sum(known) < instances and not series.untold)
    return int(series.looks_cut)


CENTRAL: Final = "the central PACS"
"""Its name in errors, which members are told, too: they need no address of it."""


class PacsAdapter(InstanceSource, Protocol):
    """One PACS; more about errors and what may be said in them at `InstanceSource`."""

    @property
    def address(self) -> str:
        """Where it is, for the broker's own logs; without credentials."""

    async def check(self) -> None:
        """Whether it answers at all."""

    async def store(self, instances: Sequence[EncodedInstance | LargeInstance]) -> None:
        """Have it keep these instances, byte for byte.

        Raises:
            PacsRefusedError: it did not take one; those before it may be there.
            PacsUnreachableError: it does not answer.
        """

    async def commit(self, references: Collection[Reference]) -> dict[str, int] | None:
        """Have it promise to keep instances that it was given (Storage Commitment).

        Returns:
            Those that it does not (SOP Instance UIDs) with its Failure Reasons; None if it is not
            asked, or need not promise and does not.

        Raises:
            PacsError: it must promise, and cannot be asked, or does not report yet: the same
                question later waits for the same report.
        """

    def studies(self, span: DateSpan) -> AsyncIterator[Json]:
        """The studies of these days, at study level; those without a date if the span is open
        at both ends. Asks piece by piece, so that a PACS which limits its answers gives all."""
