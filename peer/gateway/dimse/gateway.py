"""The PACS that a hospital's workstations see: answers from the catalogue, instances from the
swarm (a `p2pacs.dimse.backend.Backend`, called in DICOM threads)."""

from __future__ import annotations

import queue
from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Final

import structlog
import trio
from attrs import frozen
from pydicom.dataset import Dataset

from p2pacs.catalogue.catalogue_index import CatalogueIndex
from p2pacs.catalogue.find import find
from p2pacs.catalogue.question import UNIQUE, Question, Selection
from p2pacs.catalogue.records import StudyRecord
from p2pacs.dataset.answers import FindAnswers
from p2pacs.dataset.elements import from_dataset
from p2pacs.dataset.incoming import IncomingInstance, InstanceUids
from p2pacs.dataset.json_model import text
from p2pacs.dataset.large import WHOLE_BYTES, LargeInstance
from p2pacs.dataset.search_options import LITERAL, SearchOptions
from p2pacs.dataset.vocabulary import QueryRoot
from p2pacs.dimse.association.contexts import Pair
from p2pacs.dimse.backend import (
    Ending,
    MissingInstances,
    Retrieval,
    RetrievedItem,
    Urgency,
    Waiting,
)
from p2pacs.errors import (
    ForbiddenError,
    NotFoundError,
    P2PacsError,
    StudyNotFoundError,
    UnavailableError,
)
from p2pacs.study.study_index import InstanceEntry, LeftOut
from p2pacs.swarm.scheduling.priority import Priority
from peer.gateway.dimse.bridge import Bridge
from peer.gateway.dimse.coverage import Coverage
from peer.gateway.dimse.large_pieces import LargePieces
from peer.gateway.studies.announced import Announced, CatalogueWatch
from peer.gateway.studies.delivery import StudyDelivery
from peer.gateway.studies.instances import Describe
from peer.gateway.studies.listed import ListedInstances, images_alone
from peer.gateway.studies.wanted import is_wanted, promised, wanted_of
from peer.retrieval.instances.live_index import Known
from peer.retrieval.instances.read_ahead import ReadRequest, ThreadReadAhead
from peer.retrieval.reader import StudyReads
from peer.retrieval.requester import Requester

MANY: Final = 50
"""Studies whose instances one query may ask for: more would have the broker ask the PACS of all."""

LOOK: Final = 0.1
"""Seconds that a DICOM thread waits for an instance before it looks for a cancel or an abort."""

REPLACED: Final = "changed in the PACS while it was sent: retrieve it again"

PRIORITIES: Final = {
    Urgency.HIGH: Priority.STAT,
    Urgency.MEDIUM: Priority.INTERACTIVE,
    Urgency.LOW: Priority.PREFETCH,
}
"""What a workstation's Priority (0000,0700) is in the swarm."""

log = structlog.get_logger(__name__)

Take = Callable[[InstanceUids, str], IncomingInstance]
"""Begins to keep an instance that a caller (AE title) stores. Raises `P2PacsError` where it may
not be."""


class Gateway:
    """Behind the hospital's DICOM server."""

    def __init__(
        self,
        bridge: Bridge,
        catalogue: CatalogueIndex,
        reads: StudyReads,
        describe: Describe,
        listed: ListedInstances,
        *,
        news: CatalogueWatch,
        check_membership: Callable[[], None],
        take: Take | None = None,
    ) -> None:
        """A gateway.

        Args:
            bridge: to the trio side.
            catalogue: what may be found.
            reads: brings what is asked for.
            describe: attributes of a study's instances, with those of their series.
            listed: which study an instance is in.
            news: when the catalogue has changed.
            check_membership: raises a RevokedError where this member was revoked; in any thread.
            take: keeps what is stored here; None: nothing may be.
        """
        self._take = take
        self._bridge = bridge
        self._catalogue = catalogue
        self._reads = reads
        self._describe = describe
        self._listed = listed
        self._news = news
        self._check_membership = check_membership

    # ------------------------------------------------------------ C-FIND

    def find(
        self, identifier: Dataset, root: QueryRoot, caller: str, options: SearchOptions
    ) -> FindAnswers:
        """Answers out of the catalogue that this peer holds; the broker may be away."""
        self._check_membership()
        question = Question.parse(identifier, root, options)
        records: Iterable[StudyRecord]
        records = self._catalogue.candidates(identifier, fuzzy=options.fuzzy)
        records = self._listed.records(self._catalogue, images_alone(question.keys)) or records
        if question.level in ("SERIES", "IMAGE"):
            records = self._filled(records, question.level)
        log.debug("C-FIND", caller=caller, level=question.level)
        return find(records, identifier, root, self._catalogue.known, options)

    def _filled(self, records: Iterable[StudyRecord], level: str) -> Iterator[StudyRecord]:
        """The records with what the catalogue does not list: instances, or even the series."""
        count = 0
        for record in records:
            if level == "SERIES" and record.series:
                yield record
                continue
            if (count := count + 1) > MANY:
                raise UnavailableError(f"too many studies at {level} level: narrow the query")
            yield self._bridge.call(self._describe, record).into(record)

    def _with_instances(
        self, records: Iterable[StudyRecord], uids: Collection[str]
    ) -> Iterator[StudyRecord]:
        """Those that have some of these instances, whose studies nobody named."""
        if listed := self._listed.records(self._catalogue, uids):
            yield from listed
            return
        for record in self._filled(records, "IMAGE"):
            instances = (one for series in record.series for one in series.instances)
            if any(text(one, "SOPInstanceUID") in uids for one in instances):
                yield record

    # ------------------------------------------------------------ C-MOVE, C-GET

    def retrieve(
        self,
        identifier: Dataset,
        root: QueryRoot,
        caller: str,
        purpose: str,
        urgency: Urgency,
        *,
        options: SearchOptions = LITERAL,
    ) -> Retrieval:
        """The instances that an identifier names, as they become whole here."""
        self._check_membership()
        selection = Selection.parse(identifier, root, options)
        keys = from_dataset(identifier, [*UNIQUE.values()])  # no others count (PS3.4 C.4.2.2.1)
        found = self._catalogue.narrowed(selection.level, keys)
        if selection.instances and not (selection.studies or selection.series):
            found = self._with_instances(found, selection.instances)
        records = [record for record in found if is_wanted(selection, record)]
        if not records:
            raise StudyNotFoundError("no such study in the catalogue that this peer may read")
        requester = Requester(
            caller,
            "move" if purpose.startswith("C-MOVE") else "get",
            PRIORITIES[urgency],
            detail=purpose,
        )
        announced = Announced(self._catalogue, self._news, selection)
        job = _RetrieveJob(self._bridge, self._reads, announced, requester)
        job.open(records)
        return Retrieval(
            total=job.total,
            instances=job.instances(),
            contexts=job.contexts,
            uids=job.uids,
            arrived=job.arrived,
            close=job.close,
        )

    def receive(self, uids: InstanceUids, caller: str) -> IncomingInstance:
        """Begin to keep an instance that is made here, if this hospital sends."""
        self._check_membership()
        if self._take is not None:
            return self._take(uids, caller)
        raise ForbiddenError(f"this gateway stores nothing ({caller}): send it to the PACS")


@frozen
class _Given:
    """Something that is given, and of which study."""

    delivery: StudyDelivery
    item: RetrievedItem


class _RetrieveJob:
    """One C-MOVE or C-GET: one study after the other, each instance once."""

    def __init__(
        self,
        bridge: Bridge,
        reads: StudyReads,
        announced: Announced,
        requester: Requester,
    ) -> None:
        self._bridge = bridge
        self._reads = reads
        self._announced = announced
        self._selection = announced.selection
        self._coverage = Coverage(self._selection)
        self._requester = requester
        self._deliveries: list[StudyDelivery] = []
        self._ahead = ThreadReadAhead(self._requests(), bridge.soon)
        self._last: StudyDelivery | None = None
        """Of which the last instance was given."""
        self._in_use = ExitStack()
        self._scope = trio.CancelScope()
        self._large_scopes: list[trio.CancelScope] = []

    # ------------------------------------------------------------ in DICOM threads

    def open(self, records: Sequence[StudyRecord]) -> None:
        """Begin to fetch all the studies, so that an error is known before the first instance."""
        try:
            for record in records:
                self._bridge.call(self._open, record)
        except P2PacsError:
            self.close(Ending.BROKEN)
            raise

    def total(self) -> int:
        """Instances that will come, as far as known."""
        return sum(delivery.total for delivery in self._deliveries)

    def contexts(self) -> set[Pair]:
        """SOP Classes and transfer syntaxes of the instances known."""
        return {(entry.sop_class_uid, entry.transfer_syntax_uid) for entry in self._known()}

    def uids(self) -> set[str]:
        """SOP Instance UIDs of the instances known, and of those that the PACS did not give."""
        uids = {entry.sop_instance_uid for entry in self._known()}
        for delivery in self._deliveries:
            uids.update(self._missing(delivery.fetch.left_out).uids)
        return uids

    def _known(self) -> Iterator[InstanceEntry]:
        for delivery in self._deliveries:
            for known in list(delivery.fetch.known):
                is_chosen = delivery.wanted is None or delivery.wanted(known.entry)
                if is_chosen and not known.withdrawn:
                    yield known.entry

    def instances(self) -> Iterator[RetrievedItem]:
        """The instances, each when all of it is here; what cannot be had is said in its place."""
        self._bridge.begin(self._read)
        while True:
            try:
                given = self._ahead.take(LOOK)
            except queue.Empty:
                yield Waiting.NOTHING_YET
                continue
            if given is None:
                return
            self._last = given.delivery
            yield given.item

    def arrived(self) -> None:
        """The instance given last was taken."""
        if self._last is not None:
            self._last.arrived += 1

    def close(self, ending: Ending) -> None:
        """End it, whatever it waits for."""
        self._bridge.soon(partial(self._end, ending))

    # ------------------------------------------------------------ on the trio side

    async def _open(self, record: StudyRecord) -> None:
        fetch, read = await self._reads.open_audited(record.uid, self._requester)
        self._in_use.enter_context(fetch.in_use())
        wanted = wanted_of(self._selection, record)
        cursor = fetch.cursor() if wanted is None else fetch.cursor(wanted)
        count = promised(self._selection, record)
        self._coverage.study(record.uid)
        self._deliveries.append(StudyDelivery(fetch, cursor, read, count, wanted))

    async def _requests(self) -> AsyncGenerator[ReadRequest[_Given], None]:
        """What is read in turn.

        Raises:
            NotFoundError: nothing of what is asked for is in studies that are known.
        """
        for delivery in self._deliveries:
            while (known := await delivery.cursor.next()) is not None:
                delivery.given.append(known)
                self._coverage.instance(known.entry)
                size = min(known.entry.size, WHOLE_BYTES)
                yield ReadRequest(size, partial(self._instance, delivery, known))
            left_out = delivery.fetch.left_out
            for missing in (self._missing(left_out), await self._short(delivery)):
                self._coverage.missing(missing, left_out)
                if missing.count:
                    yield _said(delivery, missing)
            if replaced := delivery.replaced():
                yield _said(delivery, MissingInstances(REPLACED, replaced))
        unknown = self._coverage.unknown()
        if self._coverage.is_empty:
            raise NotFoundError(unknown.reason if unknown.count else "the study has no instances")
        if unknown.count:
            yield _said(self._deliveries[-1], unknown)

    async def _short(self, delivery: StudyDelivery) -> MissingInstances:
        """What the catalogue tells of and the study has not."""
        has = len(delivery.given) + delivery.fetch.left_out.count
        if delivery.promised > has:
            delivery.short = await self._announced.beyond(delivery.fetch.study, has)
        return MissingInstances(
            "the PACS has more of it than was published: retry", (), delivery.short
        )

    async def _instance(self, delivery: StudyDelivery, known: Known) -> _Given:
        """An instance; why not, if it is this one alone that cannot be read."""
        fetch = delivery.fetch
        if known.entry.size > WHOLE_BYTES:
            return _Given(delivery, self._large(delivery, known))
        try:
            return _Given(delivery, await fetch.read(known))
        except P2PacsError as error:
            log.warning("an instance cannot be read", study=fetch.study.short, why=str(error))
            return _Given(delivery, MissingInstances(str(error), (known.entry.sop_instance_uid,)))

    def _large(self, delivery: StudyDelivery, known: Known) -> LargeInstance:
        """A large instance, which is read while it is sent, and not before."""
        pieces = LargePieces(self._bridge, delivery.fetch, known)
        self._large_scopes.append(pieces.scope)
        return pieces.instance

    def _missing(self, left_out: LeftOut) -> MissingInstances:
        """Of what the PACS lists and did not give, what was asked for: in which series such an
        instance is, nobody knows, so all of them count where a series is asked for."""
        wanted = self._selection.instances
        if wanted:
            uids = tuple(uid for uid in left_out.uids if uid in wanted)
            return MissingInstances(left_out.why, uids)
        return MissingInstances(left_out.why, left_out.uids, left_out.unnamed)

    async def _read(self) -> None:
        """Read instances before they are asked for, until this ends."""
        with self._scope:
            await self._ahead.run()

    def _end(self, ending: Ending) -> None:
        """What nobody wants any more is not fetched; what is here stays for the next time."""
        for scope in (self._scope, *self._large_scopes):
            scope.cancel()
        for delivery in self._deliveries:
            self._reads.end(delivery.read, delivery.ended(ending))
            delivery.fetch.give_up()
        self._in_use.close()


def _said(delivery: StudyDelivery, missing: MissingInstances) -> ReadRequest[_Given]:
    return ReadRequest(0, partial(_as_it_is, _Given(delivery, missing)))


async def _as_it_is(given: _Given) -> _Given:
    return given
