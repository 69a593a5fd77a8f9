"""Where the instances of a study come from, and where its keys are: what publishing must know."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import AbstractAsyncContextManager
from enum import IntEnum
from typing import Protocol

from attrs import field, frozen

from p2pacs.catalogue.records import SeriesRecord, StudyRecord
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dataset.json_model import Json, number, text
from p2pacs.dataset.large import LargeInstance
from p2pacs.errors import P2PacsError
from p2pacs.identity.keys import StudyKey
from p2pacs.ids import StudyId


class Detail(IntEnum):
    """How much of a study to describe: each step costs a PACS more."""

    SERIES = 0
    """The study and its series, with counts."""
    UIDS = 1
    """Also which instances there are."""
    INSTANCES = 2
    """Also what an image level C-FIND tells of them."""


@frozen
class Description:
    """What a source tells of one study."""

    uid: str = field(repr=False)
    attributes: Json = field(repr=False)
    series: tuple[SeriesRecord, ...] = field(repr=False)
    untold: int = 0
    """Answers that the source is known to have held back: what is listed is not all."""

    @property
    def listed(self) -> int:
        """How many instances are listed; two under one UID count twice."""
        return sum(len(series.instances) for series in self.series)

    @property
    def instances(self) -> Mapping[str, Json]:
        """SOP Instance UID → attributes of the instance, over all series."""
        return {
            text(instance, "SOPInstanceUID"): instance
            for series in self.series
            for instance in series.instances
        }

    @property
    def has_several_patients(self) -> bool:
        """Whether some series is of another patient than the others."""
        return any(text(series.attributes, "PatientID") for series in self.series)

    @property
    def count(self) -> int | None:
        """How many instances there are, if the source says so."""
        told = number(self.attributes, "NumberOfStudyRelatedInstances")
        if self.series:
            counts = [
                number(series.attributes, "NumberOfSeriesRelatedInstances")
                for series in self.series
            ]
            known = [count for count in counts if count is not None]
            if len(known) == len(counts):
                return max(sum(known), told or 0) if self.untold else sum(known)
        return told

    def record(self, study: StudyId, version: int = 0) -> StudyRecord:
        """As a catalogue record."""
        return StudyRecord(study, self.uid, self.attributes, self.series, version)


@frozen
class FailedInstance:
    """One that the source has and does not give, or gives in no usable form."""

    error: P2PacsError
    uid: str | None = field(default=None, repr=False)
    """SOP Instance UID, if it is known."""


Retrieved = EncodedInstance | LargeInstance | FailedInstance


class InstanceSource(Protocol):
    """A PACS, or whatever else holds studies. Methods raise `PacsError` or `DeadlineError`, in
    bounded time; no message holds a UID or any patient data."""

    @property
    def name(self) -> str:
        """What errors call it: they go to other members, so no address."""

    async def describe(self, uid: str, detail: Detail = Detail.INSTANCES) -> Description:
        """One study with its series, and with their instances if asked for.

        Raises:
            StudyNotFoundError: the source does not have it.
        """

    def retrieve(
        self, study: Description, wanted: Collection[str] | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[Retrieved]]:
        """The instances as they are stored, one by one while they come.

        What one request does not give is asked for again in smaller ones; an instance that does
        not come even alone is a `FailedInstance`. Only a source that is away is an error, raised
        after the last instance that came. Leaving the block ends the retrieval. What is taken
        slowly is sent slowly: little is held in memory.

        Args:
            study: from `describe`; with its instances if some of them are wanted.
            wanted: SOP Instance UIDs of this study; None: all.
        """


class AnnouncedStudy(Protocol):
    """What is remembered of a study that has a key."""

    @property
    def version(self) -> int:
        """Newest version that was announced; 0 while there is none."""


class StudyKeySource(Protocol):
    """Ids and keys of studies, and which versions were announced."""

    def id_of(self, study_instance_uid: str) -> StudyId:
        """The id of a study in this network."""

    async def ensure(self, study_instance_uid: str) -> StudyKey:
        """The key of a study, made when it is first asked for."""

    async def find(self, study: StudyId) -> AnnouncedStudy | None:
        """What is known of a study; None if it never had a key."""

    async def unfinished(self) -> list[str]:
        """Study Instance UIDs of studies whose newest version is not the last one."""

    async def published(self, study: StudyId, version: int, *, complete: bool) -> None:
        """Remember that a version is out."""
