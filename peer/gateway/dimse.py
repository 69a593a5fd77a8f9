"""The PACS that a hospital's workstations see: answers from the catalogue, instances from the
swarm (a `p2pacs.dimse.backend.Backend`, called in DICOM threads)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Final

import structlog
import trio
from attrs import define
from pydicom.dataset import Dataset

from p2pacs.catalogue.catalogue_index import CatalogueIndex
from p2pacs.catalogue.find import find
from p2pacs.catalogue.listing import Listing
from p2pacs.catalogue.question import Question, Selection
from p2pacs.catalogue.records import StudyRecord
from p2pacs.catalogue.views import study_view
from p2pacs.dataset.answers import Answers
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dataset.json_model import number, text
from p2pacs.dimse.backend import Retrieval, Urgency
from p2pacs.dimse.contexts import Pair
from p2pacs.dimse.remote import Root
from p2pacs.errors import ForbiddenError, P2PacsError, StudyNotFoundError, UnavailableError
from p2pacs.study.study_index import InstanceEntry
from p2pacs.swarm.scheduling.priority import Priority
from peer.gateway.bridge import Bridge
from peer.retrieval.read_ahead import ReadAhead, ReadRequest
from peer.retrieval.reader import StudyReads
from peer.retrieval.requester import Requester
from peer.retrieval.study_fetch import Cursor, StudyFetch

MANY: Final = 50
"""Studies whose instances one query may ask for: more would have the broker ask the PACS of all."""

PRIORITIES: Final = {
    Urgency.HIGH: Priority.STAT,
    Urgency.MEDIUM: Priority.INTERACTIVE,
    Urgency.LOW: Priority.PREFETCH,
}
"""What a workstation's Priority (0000,0700) is in the swarm."""

Describe = Callable[[StudyRecord], Awaitable[Listing]]

log = structlog.get_logger(__name__)


class Gateway:
    """Behind the hospital's DICOM server."""

    def __init__(
        self, bridge: Bridge, catalogue: CatalogueIndex, fetcher: StudyReads, describe: Describe
    ) -> None:
        """A gateway.

        Args:
            bridge: to the trio side.
            catalogue: what may be found.
            fetcher: brings what is asked for.
            describe: attributes of a study's instances, with those of their series.
        """
        self._bridge = bridge
        self._catalogue = catalogue
        self._fetcher = fetcher
        self._describe = describe

    # ------------------------------------------------------------ C-FIND

    def find(self, identifier: Dataset, root: Root, caller: str) -> Answers:
        """Answers out of the catalogue that this peer holds; the broker may be away."""
        question = Question.parse(identifier, root)
        records: Iterable[StudyRecord] = self._catalogue.candidates(identifier)
        if question.level == "IMAGE":
            records = self._filled(records)
        log.debug("C-FIND", caller=caller, level=question.level)
        return find(records, identifier, root, self._catalogue.known)

    def _filled(self, records: Iterable[StudyRecord]) -> Iterator[StudyRecord]:
        for count, record in enumerate(records):
            if count == MANY:
                raise UnavailableError("too many studies at image level: narrow the query")
            yield self._bridge.call(self._describe, record).into(record)

    # ------------------------------------------------------------ C-MOVE, C-GET

    def retrieve(
        self, identifier: Dataset, root: Root, caller: str, purpose: str, urgency: Urgency
    ) -> Retrieval:
        """The instances that an identifier names, as they become whole here."""
        selection = Selection.parse(identifier, root)
        records = [
            record
            for record in self._catalogue.candidates(identifier)
            if not selection.studies or record.uid in selection.studies
            if not selection.patients
            or any(text(patient, "PatientID") in selection.patients for patient in record.patients)
        ]
        if not records:
            raise StudyNotFoundError("no such study in the catalogue that this peer may read")
        asker = Requester(
            caller,
            "move" if purpose.startswith("C-MOVE") else "get",
            PRIORITIES[urgency],
            detail=purpose,
        )
        order = _RetrieveJob(self._bridge, self._fetcher, selection, asker)
        order.open(records)
        return Retrieval(
            total=order.total,
            instances=order.instances(),
            contexts=order.contexts,
            close=order.close,
        )

    def store(self, instance: EncodedInstance, caller: str) -> None:
        """Refused: studies come from the PACS alone."""
        del instance
        raise ForbiddenError(f"this gateway stores nothing ({caller}): send it to the PACS")


@define(eq=False)
class _StudyDelivery:
    """One study of an order."""

    fetch: StudyFetch
    cursor: Cursor
    promised: int
    """Instances that the catalogue tells of; 0 where only a part is asked for."""
    given: int = 0
    """Instances that were read, or are being read."""

    @property
    def total(self) -> int:
        """Instances that this study gives, as far as known."""
        known = self.given + self.cursor.expected
        return known if self.fetch.settled else max(known, self.promised)


class _RetrieveJob:
    """One C-MOVE or C-GET: one study after the other, each instance once."""

    def __init__(
        self, bridge: Bridge, fetcher: StudyReads, selection: Selection, asker: Requester
    ) -> None:
        self._bridge = bridge
        self._fetcher = fetcher
        self._selection = selection
        self._asker = asker
        self._readings: list[_StudyDelivery] = []
        self._ahead = ReadAhead(self._orders())
        self._in_use = ExitStack()
        self._scope = trio.CancelScope()

    # ------------------------------------------------------------ in DICOM threads

    def open(self, records: Sequence[StudyRecord]) -> None:
        """Begin to fetch all the studies, so that an error is known before the first instance."""
        try:
            for record in records:
                self._bridge.call(self._open, record)
        except P2PacsError:
            self.close()
            raise

    def total(self) -> int:
        """Instances that will come, as far as known."""
        return sum(reading.total for reading in self._readings)

    def contexts(self) -> set[Pair]:
        """SOP Classes and transfer syntaxes of the instances known."""
        return {
            (known.entry.sop_class_uid, known.entry.transfer_syntax_uid)
            for reading in self._readings
            for known in list(reading.fetch.known)
            if self._wanted(known.entry)
        }

    def instances(self) -> Iterator[EncodedInstance]:
        """The instances, each when all of it is here."""
        self._bridge.begin(self._read)
        while (instance := self._bridge.call(self._ahead.next)) is not None:
            yield instance

    def close(self) -> None:
        """End it, whatever it waits for."""
        self._bridge.soon(self._end)

    # ------------------------------------------------------------ on the trio side

    async def _open(self, record: StudyRecord) -> None:
        fetch = await self._fetcher.open(record.uid, self._asker)
        self._in_use.enter_context(fetch.in_use())
        if self._selection.series or self._selection.instances:
            reading = _StudyDelivery(fetch, fetch.cursor(self._wanted), 0)
        else:
            count = number(study_view(record), "NumberOfStudyRelatedInstances")
            reading = _StudyDelivery(fetch, fetch.cursor(), count or 0)
        self._readings.append(reading)

    def _wanted(self, entry: InstanceEntry) -> bool:
        series, instances = self._selection.series, self._selection.instances
        return (not series or entry.series_instance_uid in series) and (
            not instances or entry.sop_instance_uid in instances
        )

    async def _orders(self) -> AsyncGenerator[ReadRequest, None]:
        for reading in self._readings:
            while (known := await reading.cursor.next()) is not None:
                reading.given += 1
                yield ReadRequest(known.entry.size, partial(reading.fetch.read, known))

    async def _read(self) -> None:
        """Read instances before they are asked for, until this ends."""
        with self._scope:
            await self._ahead.run()

    def _end(self) -> None:
        """What nobody wants any more is not fetched; what is here stays for the next time."""
        self._scope.cancel()
        for reading in self._readings:
            reading.fetch.give_up()
        self._in_use.close()
