"""The catalogue follows the PACS: new and changed studies, and those that are gone.

A *look* asks for the last days and is cheap; a *round* asks for everything and also
finds what was deleted. A PACS that is away changes nothing: the catalogue stays.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import date, timedelta

import structlog
import trio
from attrs import evolve, frozen

from broker.pacs.adapter import DateSpan, PacsAdapter
from broker.pacs.following.failing import Failing
from broker.pacs.following.known import COUNTS, ToldStudy, catalogued, is_same
from p2pacs.catalogue.catalogue_index import CatalogueIndex
from p2pacs.catalogue.records import StudyRecord
from p2pacs.dataset.json_model import Json, text
from p2pacs.dataset.uids import is_standard_uid
from p2pacs.dataset.vocabulary import VERSION
from p2pacs.errors import DeadlineError, P2PacsError, PacsError, StudyNotFoundError
from p2pacs.ids import StudyId
from p2pacs.publish.source import Description, Detail

log = structlog.get_logger(__name__)

Looked = Callable[[P2PacsError | None, int | None], Awaitable[None]]
"""Told of the end of a look: why it failed (None: it did not), and how many studies the catalogue
has (None: that was not counted)."""


async def _untold(_error: P2PacsError | None, _studies: int | None) -> None:
    """Nobody wants to hear of looks."""


@frozen
class CatalogueSyncTuning:
    """How often, and how much, a PACS is asked."""

    recent_days: int = 3
    """Days that every look covers: studies are changed soon after they were made, if ever."""
    round_share: float = 0.05
    """Of the time that rounds may take: a small PACS is gone through at every look, so that an old
    study that was imported just now is found at once; a large one is not kept busy."""
    round_seconds: float = 6 * 3600.0
    """Between two rounds over all studies at most."""
    batch: int = 100
    """Records written to the catalogue at once."""
    confirmed: int = 1000
    """Studies that one round asks for by UID before they count as deleted: an enumeration may be
    cut off, or the PACS may have lost its database for a while."""

    def round_pause(self, seconds: float) -> float:
        """Seconds from the start of a round that took this long to the start of the next."""
        return min(self.round_seconds, seconds / self.round_share)


class CatalogueSync:
    """Keeps a `CatalogueIndex` in step with the PACS.

    Args:
        pacs: whose studies.
        index: what members search in.
        id_of: Study Instance UID → id.
        changed: told the newest sequence number after every change (`CatalogueNews`).
        restage: told of a published study that changed in the PACS: its UID, and whether its
            instances may have changed, too (else some were added).
        today: the date at the PACS.
        every: seconds between looks.
        looked: told of the end of every look of `run`.
        stays: whether a study is in the catalogue though the PACS does not have it (yet): one
            that a member sends.
        tuning: how often, and how much.
    """

    def __init__(
        self,
        pacs: PacsAdapter,
        index: CatalogueIndex,
        id_of: Callable[[str], StudyId],
        *,
        changed: Callable[[int], None],
        restage: Callable[[str, bool], None],
        today: Callable[[], date],
        every: float,
        looked: Looked = _untold,
        stays: Callable[[StudyId], bool] = lambda _: False,
        tuning: CatalogueSyncTuning = CatalogueSyncTuning(),
    ) -> None:
        self._tuning = tuning
        self._pacs = pacs
        self._index = index
        self._id_of = id_of
        self._changed = changed
        self._restage = restage
        self._today = today
        self._every = every
        self._hinted = trio.Event()
        self._hints: set[str] = set()
        self._looked = looked
        self._stays = stays
        self._answered = False
        self._failed = 0
        self._failing = Failing(pacs.check)
        self._writing = trio.Lock()
        self._is_described = index.vocabulary == VERSION
        """Whether all studies were described with this vocabulary: those that an older program
        described are described again, once, in the first round."""
        self._described: set[StudyId] = set()
        """Those of the first round, as far as it came."""

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Follow the PACS until cancelled: a round first, then looks, rounds, and hints."""
        task_status.started()
        next_round = -float("inf")
        while True:
            begin = trio.current_time()
            whole = begin >= next_round
            try:
                self._failing.begin()
                await self._answer_hints()
                await self.look(whole=whole)
                if whole:
                    next_round = begin + self._tuning.round_pause(trio.current_time() - begin)
                studies = await trio.to_thread.run_sync(len, self._index)
            except P2PacsError as error:
                self._failed += 1
                log.warning("the PACS was not swept", pacs=self._pacs.address, why=str(error))
                await self._looked(error, None)
            else:
                self._say_answers(studies)
                await self._looked(None, studies)
            with trio.move_on_after(self._every):
                await self._hinted.wait()

    def _say_answers(self, studies: int) -> None:
        """Say it once after the start, and whenever it has not answered before."""
        told = {"pacs": self._pacs.address, "studies": studies}
        if self._answered and self._failed:
            log.info("the PACS answers again", **told, after=self._failed)
        elif not self._answered:
            log.info("the PACS answers", **told)
        self._answered, self._failed = True, 0

    def hint(self, uid: str | None = None) -> None:
        """Look again now, at one study in particular if it is named."""
        if uid is not None:
            self._hints.add(uid)
        self._hinted.set()

    async def look(self, *, whole: bool) -> None:
        """Compare the catalogue with the PACS. What it does not tell of single studies stays as
        it is, and is asked for again (`Failing`).

        Args:
            whole: over all studies, those deleted included; else over the last days.

        Raises:
            PacsError, DeadlineError: the PACS broke off; what was found till then is kept.
        """
        span = (
            DateSpan()
            if whole
            else DateSpan(first=self._today() - timedelta(days=self._tuning.recent_days))
        )
        seen: set[StudyId] = set()
        batch: list[ToldStudy] = []
        try:
            async for attributes in self._pacs.studies(span):
                study = self._id_of(text(attributes, "StudyInstanceUID"))
                if whole:
                    seen.add(study)
                told = await self._compare(study, attributes)
                if told is not None:
                    batch.append(told)
                if len(batch) >= self._tuning.batch:
                    await self._upsert(batch)
                    batch = []
        finally:
            with trio.CancelScope(shield=True):
                await self._upsert(batch)
        if whole:
            await self._confirm_gone(seen)
            if not self._is_described:
                await trio.to_thread.run_sync(self._index.set_vocabulary, VERSION)
                self._is_described = True
                self._described.clear()

    async def refresh(self, uid: str) -> StudyRecord | None:
        """Ask the PACS for one study and bring its record up to date; None if it is gone.

        Raises:
            PacsError, DeadlineError: the PACS cannot tell; the record stays as it is.
        """
        study = self._id_of(uid)
        try:
            described = await self._pacs.describe(uid, Detail.SERIES)
        except StudyNotFoundError:
            await self._remove(study)
            return None
        told = ToldStudy(catalogued(described.record(study)), held_back=described.untold > 0)
        (record,) = await self._upsert([told])
        return record

    async def confirm_gone(self, uid: str) -> None:
        """Ask once more for a study that the PACS said it does not have: then it leaves the
        catalogue. A PACS that cannot tell now changes nothing; it is asked at the next look."""
        try:
            await self.refresh(uid)
        except P2PacsError as error:
            log.warning("a study may be gone from the PACS", why=str(error))
            self.hint(uid)

    async def update(self, record: StudyRecord) -> StudyRecord:
        """Take a record over, for instance of a study that was published just now.

        Its version counts if it is newer than what the catalogue has.
        """
        (record,) = await self._upsert([ToldStudy(catalogued(record))])
        return record

    async def retell(self, study: StudyId) -> None:
        """Have the feed tell of a study once more: other members may know of it than before."""

        def work() -> int | None:
            known = self._index.get(study)
            return None if known is None else self._index.upsert([known])

        async with self._writing:
            number = await trio.to_thread.run_sync(work)
            if number is not None:
                self._changed(number)

    async def _answer_hints(self) -> None:
        self._hinted = trio.Event()
        for uid in list(self._hints):
            await self._try_refresh(uid)  # a PACS that is away leaves the hint for the next look
            self._hints.discard(uid)

    async def _try_refresh(self, uid: str) -> None:
        study = self._id_of(uid)
        try:
            await self.refresh(uid)
        except (PacsError, DeadlineError) as error:
            await self._failing.note(study, error)
        else:
            self._failing.told(study)

    async def _compare(self, study: StudyId, attributes: Json) -> ToldStudy | None:
        """What is told of a study that is new or changed, else None."""
        known = await trio.to_thread.run_sync(self._index.get, study)
        unchanged = known is not None and is_same(known, attributes)
        if unchanged and (self._is_described or study in self._described):
            return None
        uid = text(attributes, "StudyInstanceUID")
        described = await self._describe(study, uid)
        if described is None:
            return None
        if not self._is_described:
            self._described.add(study)
        told = evolve(described, attributes=described.attributes | attributes)
        record = catalogued(told.record(study))
        if known is None:
            _warn_of_uids(record)
        elif known.version and not unchanged:
            self._restage(uid, not is_same(known, attributes, COUNTS))
        return ToldStudy(record, held_back=described.untold > 0)

    async def _describe(self, study: StudyId, uid: str) -> Description | None:
        """What the PACS tells of a study that it enumerated; None if it tells nothing now."""
        if self._failing.passes_over(study):
            return None
        try:
            described = await self._pacs.describe(uid, Detail.SERIES)
        except StudyNotFoundError:  # deleted since it was enumerated
            return None
        except (PacsError, DeadlineError) as error:
            await self._failing.note(study, error)
            return None
        self._failing.told(study)
        return described

    async def _confirm_gone(self, seen: set[StudyId]) -> None:
        """Ask for each study that the enumeration did not name."""

        def unseen() -> list[str]:
            return [
                uid
                for uid, study in self._index.uids()
                if study not in seen and not self._failing.passes_over(study)
            ]

        missing = await trio.to_thread.run_sync(unseen)
        if len(missing) > self._tuning.confirmed:
            log.warning("many studies are missing in the PACS", count=len(missing))
        for uid in missing[: self._tuning.confirmed]:
            await self._try_refresh(uid)

    async def _upsert(self, told: list[ToldStudy]) -> list[StudyRecord]:
        """Keep what was told; the records as they are kept now. A study may have been published
        since the PACS was asked of it: what is known is read when it is replaced."""

        def work() -> tuple[list[StudyRecord], int | None]:
            known = [self._index.get(one.record.study) for one in told]
            records = [one.over(before) for one, before in zip(told, known, strict=True)]
            new = [now for now, before in zip(records, known, strict=True) if now != before]
            return records, self._index.upsert(new) if new else None

        async with self._writing:
            records, number = await trio.to_thread.run_sync(work)
            if number is not None:
                self._changed(number)
        return records

    async def _remove(self, study: StudyId) -> None:
        if self._stays(study):
            return
        if await trio.to_thread.run_sync(self._index.get, study) is not None:
            log.info("study is gone from the PACS", study=study.short)
            async with self._writing:
                self._changed(await trio.to_thread.run_sync(self._index.remove, [study]))


def _warn_of_uids(record: StudyRecord) -> None:
    """Say it once, when a study is first seen: by its id, as the UID is patient data."""
    if not all(map(is_standard_uid, (record.uid, *(series.uid for series in record.series)))):
        log.warning(
            "Study or Series Instance UIDs are not as PS3.5 9.1 has them: some systems will not "
            "take this study",
            study=record.study.short,
        )
