"""The spool as a source of studies (`p2pacs.publish.source.InstanceSource`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Collection
from contextlib import aclosing, asynccontextmanager, suppress
from functools import partial
from typing import Final

import trio
from attrs import evolve

from p2pacs.catalogue.records import SeriesRecord, StudyRecord, assemble
from p2pacs.concurrency.signals import Bell, Watch
from p2pacs.dataset.json_model import Json, entry, of_level
from p2pacs.dataset.vocabulary import tag
from p2pacs.errors import CorruptStoreError, PacsDataError, StudyNotFoundError
from p2pacs.ids import StudyId
from p2pacs.publish.source import Description, Detail, FailedInstance, Retrieved
from peer.spool.records import SpooledInstance
from peer.spool.spool import Spool

QUIET: Final = 10.0
"""Seconds without a further instance after which a study counts as sent in whole: scanners pause
between series, and each pause costs a version that says so and one that takes it back."""

_NOBODY: Final = StudyId(bytes(StudyId.size))
_COUNT: Final = tag("NumberOfSeriesRelatedInstances")


class Arrivals:
    """Tells tasks that something came, from whatever thread; made inside trio."""

    def __init__(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        self._counts: Counter[str] = Counter()
        self._watch = Watch()
        self.fresh: set[str] = set()
        """Studies (by UID) of which something came that nobody has looked at."""
        self.bell = Bell()
        """Rings when there is one more."""

    def came(self, study_uid: str) -> None:
        """An instance was kept; from any thread."""
        with suppress(trio.RunFinishedError):
            self._token.run_sync_soon(self._note, study_uid)

    def _note(self, study_uid: str) -> None:
        self._counts[study_uid] += 1
        self._watch.changed()
        if study_uid not in self.fresh:
            self.fresh.add(study_uid)
            self.bell.ring()

    def look(self, study_uid: str) -> None:
        """Something else is to be done for a study."""
        self.fresh.add(study_uid)
        self.bell.ring()

    def count(self, study_uid: str) -> int:
        """How many came of a study since the start."""
        return self._counts[study_uid]

    async def until_quiet(self, study_uid: str, seconds: float) -> None:
        """Until nothing came of a study for so long."""
        while True:
            seen = self.count(study_uid)
            with trio.move_on_after(seconds) as waiting:
                await self.further(study_uid, seen)
            if waiting.cancelled_caught:
                return

    async def further(self, study_uid: str, than: int) -> None:
        """Until more than so many came of a study."""
        await self._watch.until(lambda: self._counts[study_uid] > than)


class SpoolSource:
    """One study in the spool. What is retrieved goes on while more comes."""

    name = "the spool"

    def __init__(self, spool: Spool, arrivals: Arrivals, *, quiet: float = QUIET) -> None:
        """A source.

        Args:
            spool: where the instances are.
            arrivals: tells of further ones.
            quiet: seconds without any, after which a retrieval ends.
        """
        self._spool = spool
        self._arrivals = arrivals
        self._quiet = quiet
        self.newest = 0
        """Number of the last instance that was described."""

    async def describe(self, uid: str, detail: Detail = Detail.INSTANCES) -> Description:
        """The study as far as it came. Instances are listed as long as they are here: what is
        elsewhere already may have been deleted or corrected there, which is no business of who
        sent it.

        Raises:
            StudyNotFoundError: nothing of it came.
        """
        listed = await trio.to_thread.run_sync(self._spool.index.list_instances, uid)
        if not listed:
            raise StudyNotFoundError("nothing of this study is in the spool")
        self.newest = listed[-1].number
        return await trio.to_thread.run_sync(partial(_described, uid, listed, detail))

    @asynccontextmanager
    async def retrieve(
        self, study: Description, wanted: Collection[str] | None = None
    ) -> AsyncIterator[AsyncIterator[Retrieved]]:
        """The instances in the order in which they came, and those that come meanwhile."""
        async with aclosing(self._follow(study, wanted)) as stream:
            yield stream

    async def _follow(
        self, study: Description, wanted: Collection[str] | None
    ) -> AsyncGenerator[Retrieved, None]:
        before, last = set(study.instances) if wanted is not None else set[str](), 0
        while True:
            seen = self._arrivals.count(study.uid)
            listed = await trio.to_thread.run_sync(
                self._spool.index.list_instances, study.uid, last
            )
            for one in listed:
                last = one.number
                if wanted is None or one.uid in wanted or one.uid not in before:
                    yield await trio.to_thread.run_sync(self._read, one)
            with trio.move_on_after(self._quiet) as waiting:
                await self._arrivals.further(study.uid, seen)
            if waiting.cancelled_caught:
                return

    def _read(self, spooled: SpooledInstance) -> Retrieved:
        try:
            return self._spool.read(spooled)
        except CorruptStoreError as error:
            if spooled.file is not None:
                self._spool.index.drop(spooled)  # the sender may send it again
            return FailedInstance(PacsDataError(str(error)), spooled.uid)


def record_of(described: Description, study: StudyId, version: int) -> StudyRecord:
    """What the catalogue says of a study in the spool."""
    record = described.record(study, version)
    return evolve(record, series=tuple(evolve(one, instances=()) for one in record.series))


def _described(uid: str, listed: Collection[SpooledInstance], detail: Detail) -> Description:
    if detail is not Detail.SERIES:
        listed = [one for one in listed if one.file is not None]
    record = assemble(_NOBODY, (one.attributes for one in listed))
    counts = Counter(one.series_uid for one in listed)
    known: Json = {
        tag("NumberOfStudyRelatedInstances"): entry("IS", str(len(listed))),
        tag("SOPClassesInStudy"): entry("UI", *sorted({one.sop_class for one in listed})),
    }
    series = tuple(_series(one, counts[one.uid], detail) for one in record.series)
    # Others may have added to the study: what is not listed here is not gone.
    return Description(uid, record.attributes | known, series, untold=1)


def _series(series: SeriesRecord, count: int, detail: Detail) -> SeriesRecord:
    instances = () if detail is Detail.SERIES else series.instances
    if detail is Detail.UIDS:
        instances = tuple(of_level(one, (tag("SOPInstanceUID"),)) for one in instances)
    attributes = series.attributes | {_COUNT: entry("IS", str(count))}
    return SeriesRecord(series.uid, attributes, instances)
