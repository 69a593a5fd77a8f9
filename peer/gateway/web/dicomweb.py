"""What the hospital's DICOMweb services answer from: the catalogue and the swarm, as the gateway of
DIMSE does (a `p2pacs.dicomweb.server.backend.DicomwebBackend`)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from functools import partial
from itertools import islice
from typing import Final

import structlog
import trio
from attrs import define

from p2pacs.catalogue.catalogue_index import CatalogueIndex
from p2pacs.catalogue.find import asks_for_all, matching
from p2pacs.catalogue.question import Question, Selection
from p2pacs.catalogue.records import StudyRecord
from p2pacs.concurrency.budget import Budget
from p2pacs.concurrency.groups import single_error
from p2pacs.dicomweb.server.backend import FrameSource, OpenedResource, Resource, SearchPage
from p2pacs.dicomweb.server.query import SearchQuery
from p2pacs.dimse.backend import Ending
from p2pacs.errors import BusyError, NotFoundError, P2PacsError, StudyNotFoundError
from p2pacs.limits import FIND_RESULTS, WEB_READ_BYTES
from peer.gateway.studies.announced import Announced, CatalogueWatch
from peer.gateway.studies.delivery import StudyDelivery
from peer.gateway.studies.instances import Describe
from peer.gateway.studies.listed import ListedInstances, images_alone
from peer.gateway.web.metadata_texts import MetadataTexts
from peer.gateway.web.reads import WebReads
from peer.gateway.web.resource import ReadingRecord, WebResource, asks_for
from peer.retrieval.instances.cursor import Cursor
from peer.retrieval.instances.live_index import Known
from peer.retrieval.study_fetch import StudyFetch

MANY: Final = 50
"""Studies whose instances one search may ask for: the broker asks the PACS for each."""

log = structlog.get_logger(__name__)


@define(eq=False)
class DeliveryRecord:
    """What the audit is told of a study or series that is retrieved."""

    delivery: StudyDelivery
    ending: Ending = Ending.INTERRUPTED
    """Until all was given, or an error ended it."""

    def begun(self, known: Known) -> None:
        """An instance is read for the client, ..."""
        self.delivery.given.append(known)

    def arrived(self, _known: Known) -> None:
        """... and the client took it."""
        self.delivery.arrived += 1

    def ended(self, short: int, error: P2PacsError | None) -> None:
        """That was all, or why there is no more."""
        self.delivery.short = short
        self.ending = Ending.OVER if error is None else Ending.BROKEN


class DicomwebGateway:
    """Behind the hospital's DICOMweb server."""

    def __init__(
        self,
        catalogue: CatalogueIndex,
        describe: Describe,
        listed: ListedInstances,
        reads: WebReads,
        *,
        news: CatalogueWatch,
        check_membership: Callable[[], None],
    ) -> None:
        """A gateway.

        Args:
            catalogue: what may be found.
            describe: attributes of a study's instances, with those of their series.
            listed: which study an instance is in.
            reads: opens what is read.
            news: when the catalogue has changed.
            check_membership: raises a RevokedError where this member was revoked.
        """
        self._check_membership = check_membership
        self._catalogue = catalogue
        self._news = news
        self._describe = describe
        self._listed = listed
        self._reads = reads
        self._budget = Budget(WEB_READ_BYTES)
        self._texts = MetadataTexts()

    async def run(self) -> None:
        """Tell the audit who has stopped reading, until cancelled."""
        await self._reads.run()

    async def search(self, query: SearchQuery, caller: str) -> SearchPage:
        """Answers out of the catalogue that this peer holds; the broker may be away.

        Raises:
            RevokedError: this member was revoked.
            UsageError: a value that its key cannot have.
            StudyNotFoundError: the path names a study that is not in the catalogue.
            BusyError: the instances of too many studies are asked for.
            UnavailableError: the instances of a study that is not here, without the broker.
        """
        self._check_membership()
        question = Question.of(query.level, "STUDY", query.keys, query.options)
        log.debug("QIDO-RS", caller=caller, level=query.level)
        if query.level == "STUDY" or (query.level == "SERIES" and not query.of_one_study):
            return await trio.to_thread.run_sync(self._search, query, question)
        records = await trio.to_thread.run_sync(self._few, query)
        if not records and query.path:
            raise StudyNotFoundError("no such study in the catalogue that this peer may read")
        if query.level == "IMAGE" or not any(record.series for record in records):
            records = [(await self._describe(record)).into(record) for record in records]
        search = partial(self._search, query, question, records)
        found = await trio.to_thread.run_sync(search)
        if not found.entities and query.is_plain and query.limit != 0:
            raise NotFoundError("no such series in this study")
        return found

    @asynccontextmanager
    async def open(self, resource: Resource, caller: str) -> AsyncIterator[OpenedResource]:
        """What a client retrieves as it is stored, in use as long as the context is.

        Of a study or series the audit has an entry of its own, begun here and ended with the
        context; one instance belongs to what the client looks at (`peer.gateway.web.viewings`).

        Raises:
            RevokedError: this member was revoked.
            P2PacsError: it is not known here, or may not be read.
        """
        if resource.instance is not None:
            async with self.look(resource, caller) as opened:
                yield opened
            return
        self._check_membership()
        wanted, announced = partial(asks_for, resource), self._announced(resource)
        delivery = await self._reads.retrieve(resource.study, caller, wanted, announced.take)
        record, fetch = DeliveryRecord(delivery), delivery.fetch
        try:
            delivery.promised = await announced.count(fetch.study)
            opening = self._opened(
                fetch, resource, delivery.cursor, record, announced=announced, caller=caller
            )
            async with opening as opened:
                yield opened
        finally:
            self._reads.end(delivery, record.ending)

    @asynccontextmanager
    async def look(self, resource: Resource, caller: str) -> AsyncIterator[OpenedResource]:
        """The same where no more than headers, or a single instance, is read of it.

        Raises:
            RevokedError: this member was revoked.
            P2PacsError: it is not known here, or may not be read.
        """
        self._check_membership()
        viewing = await self._reads.view(resource.study, caller)
        fetch = viewing.fetch
        with viewing.in_use():
            cursor = fetch.cursor(partial(asks_for, resource))
            announced = self._announced(resource)
            async with self._opened(
                fetch, resource, cursor, viewing, announced=announced, caller=caller
            ) as opened:
                yield opened

    @asynccontextmanager
    async def _opened(
        self,
        fetch: StudyFetch,
        resource: Resource,
        cursor: Cursor,
        record: ReadingRecord,
        *,
        announced: Announced,
        caller: str,
    ) -> AsyncIterator[WebResource]:
        with ExitStack() as afterwards, fetch.in_use(), single_error():
            async with trio.open_nursery() as nursery:
                opened = WebResource(
                    fetch,
                    resource,
                    cursor,
                    self._budget,
                    announced,
                    record,
                    nursery,
                    self._texts,
                    partial(self._reads.compared, fetch, caller),
                )
                afterwards.callback(opened.close)
                yield opened
                nursery.cancel_scope.cancel()

    def _announced(self, resource: Resource) -> Announced:
        return Announced(self._catalogue, self._news, _selection(resource))

    async def begin(self, study: str, caller: str) -> None:
        """Have a study begin to come, for somebody who is going to look at it: what is needed
        first, first; and its metadata written, which a viewer asks for before all else.

        Raises:
            UsageError: its UID is none.
            P2PacsError: it is not known here, may not be read, or does not come.
        """
        self._check_membership()
        resource = Resource.of(study)
        viewing = await self._reads.view(resource.study, caller)
        with viewing.in_use() as used:
            # Nothing is given to anybody, so nothing of it is for the audit.
            await self._texts.ahead(used.fetch, resource.study)

    def frames(self, resource: Resource, caller: str) -> AbstractAsyncContextManager[FrameSource]:
        """See `WebReads.frames`.

        Raises:
            RevokedError: this member was revoked: what it was given before is read no more.
        """
        self._check_membership()
        return self._reads.frames(resource, caller)

    async def bulk_data(self, resource: Resource, path: Sequence[int], caller: str) -> bytes:
        """See `WebReads.bulk_data`.

        Raises:
            RevokedError: this member was revoked.
        """
        self._check_membership()
        return await self._reads.bulk_data(resource, path, caller)

    def _few(self, query: SearchQuery) -> list[StudyRecord]:
        records = self._catalogue.narrowed(query.level, query.keys, fuzzy=query.fuzzy)
        listed = self._listed.records(self._catalogue, images_alone(query.keys))
        found = listed or list(islice(records, MANY + 1))
        if len(found) > MANY:
            raise BusyError(
                f"the instances of more than {MANY} studies are asked for: name the study"
            )
        return found

    def _search(
        self,
        query: SearchQuery,
        question: Question,
        records: Iterable[StudyRecord] | None = None,
    ) -> SearchPage:
        """In a worker thread: it reads the index."""
        skipped = 0
        if records is None and query.level == "STUDY":
            if query.offset and asks_for_all(question) and self._catalogue.one_each:
                skipped = query.offset
            records = self._catalogue.newest(query.keys, fuzzy=query.fuzzy, skip=skipped)
        elif records is None:
            records = self._catalogue.narrowed(query.level, query.keys, fuzzy=query.fuzzy)
        matches = matching(records, question, self._catalogue.known)
        count = FIND_RESULTS if query.limit is None else min(query.limit, FIND_RESULTS)
        first = query.offset - skipped
        page = list(islice(matches, first, first + count + 1))
        unmatched = set(question.unmatched).union(*(untold for _, untold in page[:count]))
        return SearchPage([view for view, _ in page[:count]], len(page) > count, unmatched)


def _selection(resource: Resource) -> Selection:
    uids = (
        () if uid is None else (uid,)
        for uid in (resource.study, resource.series, resource.instance)
    )
    return Selection("IMAGE", (), *uids)
