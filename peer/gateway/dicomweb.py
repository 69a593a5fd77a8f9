"""What the hospital's DICOMweb services answer from: the catalogue and the swarm, as the gateway of
DIMSE does (a `p2pacs.dicomweb.server.backend.DicomwebBackend`)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from itertools import islice
from typing import Final

import structlog
import trio

from p2pacs.budget import Budget
from p2pacs.catalogue.catalogue_index import CatalogueIndex
from p2pacs.catalogue.find import matching
from p2pacs.catalogue.question import Question, Selection
from p2pacs.catalogue.records import StudyRecord
from p2pacs.dicomweb.server.backend import FrameSource, OpenedResource, Resource, SearchPage
from p2pacs.dicomweb.server.query import SearchQuery
from p2pacs.errors import BusyError, NotFoundError, StudyNotFoundError
from p2pacs.ids import StudyId
from p2pacs.limits import FIND_RESULTS, WEB_READ_BYTES
from peer.gateway.instances import Describe
from peer.gateway.wanted import promised
from peer.gateway.web_reads import WebReads
from peer.gateway.web_resource import WebResource

MANY: Final = 50
"""Studies whose instances one search may ask for: the broker asks the PACS for each."""

log = structlog.get_logger(__name__)


class DicomwebGateway:
    """Behind the hospital's DICOMweb server."""

    def __init__(
        self,
        catalogue: CatalogueIndex,
        describe: Describe,
        reads: WebReads,
        *,
        check_membership: Callable[[], None],
    ) -> None:
        """A gateway.

        Args:
            catalogue: what may be found.
            describe: attributes of a study's instances, with those of their series.
            reads: opens what is read.
            check_membership: raises a RevokedError where this member was revoked.
        """
        self._check_membership = check_membership
        self._catalogue = catalogue
        self._describe = describe
        self._reads = reads
        self._budget = Budget(WEB_READ_BYTES)

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

        Raises:
            RevokedError: this member was revoked.
            P2PacsError: it is not known here, or may not be read.
        """
        self._check_membership()
        fetch = await self._reads.open(resource.study, caller)
        told = partial(self._promised, _selection(resource), fetch.study)
        with fetch.in_use():
            yield WebResource(fetch, resource, self._budget, told)

    async def _promised(self, selection: Selection, study: StudyId) -> int:
        """How many instances the catalogue tells of by now; 0 if it does not."""
        record = await trio.to_thread.run_sync(self._catalogue.get, study)
        return 0 if record is None else promised(selection, record)

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
        found = list(islice(records, MANY + 1))
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
        if records is None:
            records = self._catalogue.narrowed(query.level, query.keys, fuzzy=query.fuzzy)
        matches = matching(records, question, self._catalogue.known)
        count = FIND_RESULTS if query.limit is None else min(query.limit, FIND_RESULTS)
        page = list(islice(matches, query.offset, query.offset + count + 1))
        unmatched = set(question.unmatched).union(*(untold for _, untold in page[:count]))
        return SearchPage([view for view, _ in page[:count]], len(page) > count, unmatched)


def _selection(resource: Resource) -> Selection:
    uids = (
        () if uid is None else (uid,)
        for uid in (resource.study, resource.series, resource.instance)
    )
    return Selection("IMAGE", (), *uids)
