"""What the broker asks of a PACS, whatever it speaks."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import date
from enum import IntEnum
from typing import Final, Protocol

from attrs import field, frozen

from p2pacs.catalogue.records import SeriesRecord, StudyRecord
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dataset.json_model import Json, number, tag, text
from p2pacs.ids import StudyId

_UID: Final = re.compile(r"[0-9.]{1,64}")


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
INSTANCE_KEYS: Final = _tags("SOPInstanceUID SOPClassUID InstanceNumber NumberOfFrames")
"""What is asked of the PACS: only what it usually keeps in its database, so that it answers
without opening files. (Orthanc opens every file for a SOP Class UID.)"""


class Detail(IntEnum):
    """How much of a study to describe: each step costs the PACS more."""

    SERIES = 0
    """The study and its series, with counts."""
    UIDS = 1
    """Also which instances there are."""
    INSTANCES = 2
    """Also what an image level C-FIND tells of them."""


@frozen
class Description:
    """What the PACS tells of one study."""

    uid: str = field(repr=False)
    attributes: Json = field(repr=False)
    series: tuple[SeriesRecord, ...] = field(repr=False)

    @property
    def instances(self) -> Mapping[str, Json]:
        """SOP Instance UID → attributes of the instance, over all series."""
        return {
            text(instance, "SOPInstanceUID"): instance
            for series in self.series
            for instance in series.instances
        }

    @property
    def count(self) -> int | None:
        """How many instances the PACS has, if it says so."""
        if self.series:
            counts = [
                number(series.attributes, "NumberOfSeriesRelatedInstances")
                for series in self.series
            ]
            known = [count for count in counts if count is not None]
            if len(known) == len(counts):
                return sum(known)
        return number(self.attributes, "NumberOfStudyRelatedInstances")

    def record(self, study: StudyId, version: int = 0) -> StudyRecord:
        """As a catalogue record."""
        return StudyRecord(study, self.uid, self.attributes, self.series, version)


@frozen
class DateSpan:
    """Study dates from ``first`` to ``last``, both included; None: no end."""

    first: date | None = None
    last: date | None = None


class PacsAdapter(Protocol):
    """One PACS. All methods raise `PacsError` or `DeadlineError`, in bounded time.

    No message or log line holds a UID or any patient data.
    """

    @property
    def name(self) -> str:
        """The PACS for messages and logs; without credentials."""

    async def check(self) -> None:
        """Whether it answers at all."""

    def studies(self, span: DateSpan) -> AsyncIterator[Json]:
        """The studies of these days, at study level; those without a date if the span is open
        at both ends. Asks piece by piece, so that a PACS which limits its answers gives all."""

    async def describe(self, uid: str, detail: Detail = Detail.INSTANCES) -> Description:
        """One study with its series, and with their instances if asked for.

        Raises:
            StudyNotFoundError: the PACS does not have it.
        """

    def retrieve(
        self, study: Description, wanted: Collection[str] | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[EncodedInstance]]:
        """The instances as the PACS stores them, one by one while they come.

        What went wrong is raised after the last instance that came. Leaving the block ends the
        retrieval. What is taken slowly is sent slowly: little is held in memory.

        Args:
            study: from `describe`; with its instances if some of them are wanted.
            wanted: SOP Instance UIDs of this study; None: all.
        """


def is_uid(value: str) -> bool:
    """Whether a text may stand where a UID is expected: in URLs, too."""
    return _UID.fullmatch(value) is not None
