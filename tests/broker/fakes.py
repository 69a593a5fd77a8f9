"""A PACS in memory, which can be made to misbehave; and keys of studies in memory."""

from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from io import BytesIO

import trio
from pydicom import dcmread

from broker.pacs.adapter import DateSpan
from broker.pacs.retrieval.stream import Put, streamed
from broker.study_keys import Study
from p2pacs.catalogue.matching import matches
from p2pacs.catalogue.records import StudyRecord, assemble
from p2pacs.catalogue.views import series_view, study_view
from p2pacs.dataset.elements import from_dataset
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dataset.json_model import Json, text
from p2pacs.dataset.large import LargeInstance
from p2pacs.dataset.vocabulary import INSTANCE_TAGS, SERIES_TAGS, STUDY_LEVEL_TAGS
from p2pacs.dimse.commitment import Reference
from p2pacs.errors import P2PacsError, StudyNotFoundError
from p2pacs.identity.keys import StudyKey
from p2pacs.ids import StudyId
from p2pacs.publish.source import Description, Detail, FailedInstance

_ALL = STUDY_LEVEL_TAGS | SERIES_TAGS | INSTANCE_TAGS


class FakePacs:
    """A `PacsAdapter`."""

    name = "the central PACS"
    address = "PACS@fake:104"

    def __init__(self, instances: Iterable[EncodedInstance] = ()) -> None:
        self.held: dict[str, EncodedInstance] = {}
        self.extra: list[EncodedInstance] = []
        """Sent with every retrieval, whatever was asked for."""
        self.lost: set[str] = set()
        """Described, but never sent."""
        self.failing: dict[str, P2PacsError] = {}
        """SOP Instance UID → why this one does not come."""
        self.nameless = False
        """Of one that does not come, the UID is told only if it was asked for by name."""
        self.lists_at_most: int | None = None
        """Instances of a series in one answer."""
        self.untold: set[str] = set()
        """Attributes of studies that it does not tell."""
        self.error: P2PacsError | None = None
        """Raised by every search, and by a retrieval after ``break_after`` instances."""
        self.break_after: int | None = None
        self.delay = 0.0
        """Seconds before every answer to a search."""
        self.pause = 0.0
        """Seconds before every instance."""
        self.stored: list[EncodedInstance] = []
        self.uncommitted: set[str] | None = None
        """SOP Instance UIDs that it does not promise to keep; None: it promises nothing."""
        self.asked: list[str] = []
        """Those that it was asked to promise to keep."""
        self.sent: list[str] = []
        """SOP Instance UIDs, in the order sent."""
        self.described: list[Detail] = []
        self.add(*instances)

    def add(self, *instances: EncodedInstance) -> None:
        self.held.update((instance.sop_instance_uid, instance) for instance in instances)

    def remove(self, study: str) -> None:
        gone = [uid for uid, one in self.held.items() if _attributes(one)[1] == study]
        for uid in gone:
            del self.held[uid]

    async def check(self) -> None:
        await self._answer()

    async def store(self, instances: Sequence[EncodedInstance | LargeInstance]) -> None:
        await self._answer()
        whole = [in_memory(one) for one in instances]
        self.stored += whole
        self.add(*whole)

    async def commit(self, references: Collection[Reference]) -> dict[str, int] | None:
        await self._answer()
        self.asked += [one.uid for one in references]
        if self.uncommitted is None:
            return None
        return {one.uid: 0x0112 for one in references if one.uid in self.uncommitted}

    async def studies(self, span: DateSpan) -> AsyncIterator[Json]:
        await self._answer()
        first = f"{span.first:%Y%m%d}" if span.first else ""
        last = f"{span.last:%Y%m%d}" if span.last else ""
        for record in self._records():
            if matches("DA", f"{first}-{last}".strip("-") and f"{first}-{last}", _dates(record)):
                yield self._told(record)

    async def describe(self, uid: str, detail: Detail = Detail.INSTANCES) -> Description:
        await self._answer()
        self.described.append(detail)
        record = next((record for record in self._records() if record.uid == uid), None)
        if record is None:
            raise StudyNotFoundError("not in the PACS")
        series = tuple(
            type(one)(
                one.uid,
                series_view(one),
                one.instances[: self.lists_at_most] if detail is not Detail.SERIES else (),
            )
            for one in record.series
        )
        return Description(uid, self._told(record), series)

    def retrieve(
        self, study: Description, wanted: Collection[str] | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[EncodedInstance]]:
        async def produce(put: Put) -> None:
            mine = [one for one in self.held.values() if _attributes(one)[1] == study.uid]
            chosen = [one for one in mine if wanted is None or one.sop_instance_uid in wanted]
            for count, one in enumerate([*self.extra, *chosen]):
                if self.break_after is not None and count >= self.break_after:
                    assert self.error is not None
                    raise self.error
                if error := self.failing.get(one.sop_instance_uid):
                    hidden = self.nameless and wanted is None
                    await put(FailedInstance(error, None if hidden else one.sop_instance_uid))
                elif one.sop_instance_uid not in self.lost:
                    await trio.sleep(self.pause)
                    self.sent.append(one.sop_instance_uid)
                    await put(one)

        return streamed(produce)

    def _told(self, record: StudyRecord) -> Json:
        view = study_view(record)
        return {key: view[key] for key in view if key not in self.untold}

    async def _answer(self) -> None:
        await trio.sleep(self.delay)
        if self.error is not None and self.break_after is None:
            raise self.error

    def _records(self) -> list[StudyRecord]:
        studies: dict[str, list[Json]] = {}
        for one in self.held.values():
            attributes, uid = _attributes(one)
            studies.setdefault(uid, []).append(attributes)
        return [assemble(StudyId(bytes(16)), found) for found in studies.values()]


def _attributes(instance: EncodedInstance) -> tuple[Json, str]:
    dataset = dcmread(BytesIO(instance.part10()), stop_before_pixels=True)
    attributes = from_dataset(dataset, _ALL)
    return attributes, text(attributes, "StudyInstanceUID")


def _dates(record: StudyRecord) -> list[str]:
    return [text(record.attributes, "StudyDate")]


class FakeKeys:
    """`p2pacs.publish.source.StudyKeySource` in memory."""

    def __init__(self) -> None:
        self.keys: dict[StudyId, StudyKey] = {}
        self.uids: dict[StudyId, str] = {}
        self.versions: dict[StudyId, tuple[int, bool]] = {}
        self.announced: list[tuple[int, bool]] = []

    def id_of(self, study_instance_uid: str) -> StudyId:
        return StudyId.derive(b"secret", study_instance_uid)

    async def ensure(self, study_instance_uid: str) -> StudyKey:
        await trio.lowlevel.checkpoint()
        study = self.id_of(study_instance_uid)
        self.uids[study] = study_instance_uid
        return self.keys.setdefault(study, StudyKey.generate())

    async def find(self, study: StudyId) -> Study | None:
        await trio.lowlevel.checkpoint()
        if study not in self.keys:
            return None
        return Study(study, self.uids[study], *self.versions.get(study, (0, False)))

    async def unfinished(self) -> list[str]:
        await trio.lowlevel.checkpoint()
        return [self.uids[study] for study, (_, complete) in self.versions.items() if not complete]

    async def published(self, study: StudyId, version: int, *, complete: bool) -> None:
        await trio.lowlevel.checkpoint()
        self.versions[study] = version, complete
        self.announced.append((version, complete))


def in_memory(instance: EncodedInstance | LargeInstance) -> EncodedInstance:
    """All of it."""
    if isinstance(instance, EncodedInstance):
        return instance
    uids = instance.sop_class_uid, instance.sop_instance_uid, instance.transfer_syntax_uid
    return EncodedInstance(*uids, instance.read(0, instance.size))
