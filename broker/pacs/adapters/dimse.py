"""A PACS over DIMSE: C-FIND, C-GET, C-MOVE to a receiver of our own."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

import structlog
from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset

from broker.pacs.adapter import (
    CENTRAL,
    CLASSES_KEY,
    LISTED_KEYS,
    SERIES_KEYS,
    STUDY_KEYS,
    UID_KEYS,
    DateSpan,
    Found,
)
from broker.pacs.adapters.commitment import PacsCommitment
from broker.pacs.address import DimseAddress
from broker.pacs.queries.days import Window
from broker.pacs.queries.described import described, study_among
from broker.pacs.queries.keys import QueryKeys, WideKeys
from broker.pacs.queries.oddities import LeftOutAnswers
from broker.pacs.queries.windows import by_windows
from broker.pacs.retrieval.plan import BATCH, RetrieveRequest, plan
from broker.pacs.retrieval.salvage import Taken, salvage
from broker.pacs.retrieval.stream import Put, streamed
from p2pacs.dataset.elements import from_dataset
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dataset.json_model import Json, text, texts
from p2pacs.dataset.large import LargeInstance
from p2pacs.dataset.uids import is_uid
from p2pacs.dimse.association.contexts import propose_storage
from p2pacs.dimse.association.inbox import Inbox
from p2pacs.dimse.association.tuning import TUNING, DimseTuning
from p2pacs.dimse.client.scu import SILENCE_SECONDS, DimseClient
from p2pacs.dimse.commitment import Reference
from p2pacs.dimse.server.receiver import StorageReceiver
from p2pacs.errors import (
    DeadlineError,
    PacsError,
    PacsRefusedError,
    StateError,
    StudyNotFoundError,
    UnavailableError,
)
from p2pacs.publish.source import Description, Detail, Retrieved

log = structlog.get_logger(__name__)

_COMMON_CLASSES: Final = tuple(
    f"1.2.840.10008.5.1.4.1.1.{suffix}"
    for suffix in (
        *("2", "2.1", "4", "4.1", "1", "1.1", "1.2", "6.1", "3.1", "7", "7.2", "7.4", "20"),
        *("128", "88.11", "88.22", "88.67", "11.1", "66.4", "12.1", "12.2", "104.1"),
    )
)
"""Proposed when a PACS does not tell SOP Classes at image level."""


class DimseAdapter:
    """See `PacsAdapter`. Errors of the client name a remote entity; here it is `CENTRAL`.

    Args:
        address: the PACS.
        aet: our own AE title.
        receiver: where C-MOVE sends to, and Storage Commitment is reported; None: only C-GET is
            used, and reports come over the association of the request.
        silence: seconds without a sign of life after which the PACS counts as hung.
        tuning: further deadlines and bounds.
        folder: on whose disk large instances lie that come; None: in memory.
    """

    def __init__(
        self,
        address: DimseAddress,
        aet: str,
        receiver: StorageReceiver | None,
        *,
        silence: float = SILENCE_SECONDS,
        tuning: DimseTuning = TUNING,
        folder: Path | None = None,
    ) -> None:
        self._client = DimseClient(
            address.remote, aet, silence=silence, tuning=tuning, folder=folder
        )
        self._keys = WideKeys(str(address.remote))
        self._left_out = LeftOutAnswers()
        self._receiver = None if address.retrieve == "get" else receiver
        reports = None if receiver is None else receiver.reports
        self._commitment = PacsCommitment(address, aet, reports, tuning=tuning)
        self._get = address.retrieve != "move"

    name = CENTRAL

    @property
    def address(self) -> str:
        """AE title, host and port."""
        return str(self._client.remote)

    @contextmanager
    def _renamed(self) -> Iterator[None]:
        try:
            yield
        except (PacsError, UnavailableError) as error:
            raise type(error)(str(error).replace(self.address, self.name)) from error

    async def check(self) -> None:
        """C-ECHO."""
        with self._renamed():
            await self._client.echo()

    async def store(self, instances: Sequence[EncodedInstance | LargeInstance]) -> None:
        """C-STORE, in the transfer syntax that each has."""
        with self._renamed():
            await self._client.store(instances)

    async def commit(self, references: Collection[Reference]) -> dict[str, int] | None:
        """By N-ACTION, and N-EVENT-REPORT over the same or another association."""
        with self._renamed():
            return await self._commitment.ask(references)

    async def studies(self, span: DateSpan) -> AsyncIterator[Json]:
        """By C-FIND at STUDY level, window by window."""
        today = datetime.now(UTC).date()
        async for study in by_windows(self._ask, span, today, self._incomplete):
            yield study

    def _incomplete(self) -> None:
        log.warning("the PACS limits its answers: studies may be missed", pacs=self.address)

    async def _ask(self, window: Window) -> Found:
        identifier = _identifier("STUDY", STUDY_KEYS)
        identifier.StudyDate, identifier.StudyTime = window.dates, window.times
        identifier.PatientID, identifier.ModalitiesInStudy = window.patient, window.modality
        return await self._find(identifier, STUDY_KEYS, "StudyInstanceUID")

    async def describe(self, uid: str, detail: Detail = Detail.INSTANCES) -> Description:
        """By C-FIND at STUDY and SERIES level, and at IMAGE level for each series."""

        def of_study(keys: QueryKeys) -> Awaitable[Found]:
            asked = (*keys, CLASSES_KEY)
            identifier = _identifier("STUDY", asked, StudyInstanceUID=uid)
            return self._find(identifier, asked, "StudyInstanceUID")

        answers = await self._keys.ask(STUDY_KEYS, of_study)
        found = study_among(answers.usable, uid)
        if found is None and answers.is_cut:
            raise PacsRefusedError(
                f"{self.name} does not finish a query for one study: see its log"
            )
        if found is None:
            raise StudyNotFoundError(f"{self.name} does not have this study (any more)")
        attributes, more = found

        def of_series(keys: QueryKeys) -> Awaitable[Found]:
            identifier = _identifier("SERIES", (*keys, *more), StudyInstanceUID=uid)
            return self._find(identifier, (*keys, *more), "SeriesInstanceUID")

        series = await self._keys.ask(SERIES_KEYS, of_series)
        classes: dict[str, Sequence[str]] = dict.fromkeys(texts(attributes, CLASSES_KEY), ())
        # Where one association does not hold them all it must be known which instance is of which.
        needs_classes = detail is Detail.INSTANCES or len(propose_storage(classes)) != 1
        listing = None
        if detail is not Detail.SERIES:
            listing = partial(self._instances, uid, detail=detail, needs_classes=needs_classes)
        return await described(uid, attributes, series, more, listing)

    async def _instances(
        self, study: str, series: str, detail: Detail, needs_classes: bool
    ) -> Found:
        def of_instances(keys: QueryKeys) -> Awaitable[Found]:
            where = {"StudyInstanceUID": study, "SeriesInstanceUID": series}
            return self._find(_identifier("IMAGE", keys, **where), keys, "SOPInstanceUID")

        if detail is Detail.INSTANCES:
            return await self._keys.ask(LISTED_KEYS, of_instances)
        return await of_instances(LISTED_KEYS if needs_classes else UID_KEYS)

    async def _find(self, identifier: Dataset, keys: Iterable[str], unique: str) -> Found:
        with self._renamed():
            answers, ended = await self._client.find_some(identifier, "STUDY")
        found = [from_dataset(answer, keys) for answer in answers]
        usable = [attributes for attributes in found if is_uid(text(attributes, unique))]
        left = [attributes for attributes in found if not is_uid(text(attributes, unique))]
        if count := self._left_out.new(left):
            log.warning("answers without a usable UID left out", pacs=self.address, count=count)
        return Found(usable, ended is not None, len(found) - len(usable))

    def retrieve(
        self, study: Description, wanted: Collection[str] | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[Retrieved]]:
        """By C-GET, by C-MOVE what C-GET does not give, and in smaller requests what is left."""
        return streamed(lambda put: self._retrieve(study, wanted, put))

    async def _retrieve(self, study: Description, wanted: Collection[str] | None, put: Put) -> None:
        ways: list[StorageReceiver | None] = [None] if self._get else []
        if self._receiver is not None:
            ways.append(self._receiver)
        if not ways:
            raise StateError(f"{self.name} is to send by C-MOVE: set dicom in broker.toml")
        taken, is_whole = Taken(put), wanted is None
        if self._get and not study.instances and len(propose_storage(_classes(study))) > 1:
            study = await self.describe(study.uid, Detail.UIDS)
        failure: PacsError | DeadlineError | None = None
        for way in ways:
            if taken.uids and wanted is None:
                study = await self.describe(study.uid, Detail.UIDS)
                wanted = list(study.instances)
            missing = wanted if wanted is None else taken.missing(wanted)
            try:
                await self._parts(study, missing, taken.put, way)
            except (PacsError, DeadlineError) as error:  # some hang up on a C-GET
                await self.check()
                log.info("what did not come is asked for again", pacs=self.address, why=str(error))
                failure = error
            else:
                return
        if wanted is None:
            study = await self.describe(study.uid, Detail.UIDS)

        async def ask(uids: Sequence[str], take: Put) -> None:
            await self._parts(study, uids, take, ways[-1])

        await salvage(list(wanted or study.instances), taken, ask, self.check, most=BATCH)
        if is_whole and failure is not None and not taken.usable:
            raise failure

    async def _parts(
        self,
        study: Description,
        wanted: Collection[str] | None,
        put: Put,
        receiver: StorageReceiver | None,
    ) -> None:
        if receiver is not None:
            for part in plan(study, wanted):
                await self._pass_on(self._client.move(_identify(study.uid, part), receiver), put)
            return
        for classes, uids in _shares(study, wanted):
            for part in plan(study, uids):
                await self._pass_on(
                    self._client.get(_identify(study.uid, part), classes=classes), put
                )

    async def _pass_on(self, request: AbstractAsyncContextManager[Inbox], put: Put) -> None:
        with self._renamed():
            async with request as inbox:
                async for instance in inbox:
                    await put(instance)


def _identifier(level: str, keys: Iterable[str] = (), **values: str) -> Dataset:
    identifier = Dataset()
    for key in keys:
        number = int(key, 16)
        identifier.add_new(number, dictionary_VR(number), None)
    identifier.QueryRetrieveLevel = level
    for keyword, value in values.items():
        setattr(identifier, keyword, value)
    return identifier


def _identify(study: str, part: RetrieveRequest) -> Dataset:
    if part.series is None:
        return _identifier("STUDY", StudyInstanceUID=study)
    if not part.instances:
        return _identifier("SERIES", StudyInstanceUID=study, SeriesInstanceUID=part.series)
    identifier = _identifier("IMAGE", StudyInstanceUID=study, SeriesInstanceUID=part.series)
    identifier.SOPInstanceUID = list(part.instances)
    return identifier


def _classes(study: Description) -> dict[str, Sequence[str]]:
    """SOP Classes to propose, the most frequent first; which transfer syntaxes is not known."""
    found = Counter(text(instance, "SOPClassUID") for instance in study.instances.values())
    found.update(texts(study.attributes, CLASSES_KEY))
    found.pop("", None)
    return dict.fromkeys([name for name, _ in found.most_common()] or _COMMON_CLASSES, ())


def _shares(
    study: Description, wanted: Collection[str] | None
) -> Iterator[tuple[dict[str, Sequence[str]], Collection[str] | None]]:
    """What one association is asked for: SOP Classes, and the instances that are of them.

    An instance is asked for where all syntaxes of its class are proposed: a PACS that can would
    transcode it to one of those that are (`propose_storage`). Where the PACS does not tell
    the class of each instance, one request asks for all.
    """
    classes = _classes(study)
    proposals = propose_storage(classes)
    class_of = {uid: text(one, "SOPClassUID") for uid, one in study.instances.items()}
    if len(proposals) == 1 or not class_of or not all(class_of.values()):
        yield classes, wanted
        return
    asked = set(class_of if wanted is None else wanted)
    for proposal in proposals:
        share: dict[str, Sequence[str]] = {name: () for name, _ in proposal}
        if uids := {uid for uid, name in class_of.items() if name in share and uid in asked}:
            yield share, uids
