"""A PACS over DICOMweb: QIDO-RS to look, WADO-RS to retrieve as stored."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Collection, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import quote

import structlog
import trio

from broker.pacs.adapter import (
    CENTRAL,
    LISTED_KEYS,
    SERIES_KEYS,
    STUDY_KEYS,
    DateSpan,
    Found,
)
from broker.pacs.address import WebAddress
from broker.pacs.queries.days import Window
from broker.pacs.queries.described import described, study_among
from broker.pacs.queries.keys import QueryKeys, WideKeys
from broker.pacs.queries.oddities import LeftOutAnswers
from broker.pacs.queries.windows import by_windows
from broker.pacs.retrieval.plan import RetrieveRequest, plan, uids_of
from broker.pacs.retrieval.salvage import Taken, salvage
from broker.pacs.retrieval.stream import Put, streamed
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dataset.json_model import Json, text, understood
from p2pacs.dataset.large import LargeInstance
from p2pacs.dataset.uids import is_uid
from p2pacs.dataset.vocabulary import tag
from p2pacs.dicomweb.client import DicomwebClient
from p2pacs.dicomweb.search import Search
from p2pacs.dimse.commitment import Reference
from p2pacs.errors import (
    BrokenInstanceError,
    DeadlineError,
    PacsError,
    PacsRefusedError,
    StudyNotFoundError,
)
from p2pacs.publish.source import Description, Detail, FailedInstance, Retrieved

log = structlog.get_logger(__name__)


_COMPARED_KEYS: Final = (
    *LISTED_KEYS,
    *map(tag, ("ContentDate", "ContentTime", "AcquisitionDate", "AcquisitionTime")),
)
"""What tells that an instance was replaced under its UID; a server that opens the file for a list
anyway (Orthanc) tells it without further cost."""


def open_client(address: WebAddress, silence: float, folder: Path | None = None) -> DicomwebClient:
    """The client for an address: an async context manager. Large instances that come lie in a
    folder, if one is given."""
    root = address.url
    if address.credentials is not None:
        user, password = (quote(part, safe="") for part in address.credentials)
        root = root.replace("://", f"://{user}:{password}@", 1)
    return DicomwebClient(root, silence=silence, name=CENTRAL, folder=folder)


class WebAdapter:
    """See `PacsAdapter`."""

    name = CENTRAL

    def __init__(self, address: WebAddress, client: DicomwebClient) -> None:
        self._address = address
        self._keys = WideKeys(str(address))
        self._left_out = LeftOutAnswers()
        self._client = client

    @property
    def address(self) -> str:
        """The root of the services."""
        return str(self._address)

    async def check(self) -> None:
        """A search that finds nothing."""
        await self._client.probe()

    async def store(self, instances: Sequence[EncodedInstance | LargeInstance]) -> None:
        """STOW-RS, in the transfer syntax that each has."""
        await self._client.store(instances)

    async def commit(self, references: Collection[Reference]) -> dict[str, int] | None:
        """It is not asked: PS3.18's service for that is young, and in no PACS that we know."""
        del references
        await trio.lowlevel.checkpoint()
        return None

    async def studies(self, span: DateSpan) -> AsyncIterator[Json]:
        """By QIDO-RS, window by window."""
        today = datetime.now(UTC).date()
        async for study in by_windows(self._ask, span, today, self._incomplete):
            yield study

    def _incomplete(self) -> None:
        log.warning("the PACS limits its answers: studies may be missed", pacs=self.address)

    async def _ask(self, window: Window) -> Found:
        query = {
            "StudyDate": window.dates,
            "StudyTime": window.times,
            "PatientID": window.patient,
            "ModalitiesInStudy": window.modality,
        }
        answers = self._client.studies({k: v for k, v in query.items() if v}, STUDY_KEYS)
        return await self._all(answers, STUDY_KEYS, "StudyInstanceUID")

    async def describe(self, uid: str, detail: Detail = Detail.INSTANCES) -> Description:
        """By QIDO-RS for the study, its series, and the instances of each series."""

        def of_study(keys: QueryKeys) -> Awaitable[Found]:
            answers = self._client.studies({"StudyInstanceUID": uid}, keys)
            return self._all(answers, keys, "StudyInstanceUID")

        answers = await self._keys.ask(STUDY_KEYS, of_study)
        found = study_among(answers.usable, uid)
        if found is None and answers.untold:
            raise PacsRefusedError(
                f"{self.name} fails at this study (HTTP status 500): see its log"
            )
        if found is None:
            raise StudyNotFoundError(f"{self.name} does not have this study (any more)")
        attributes, more = found
        async with self._missing():
            return await self._described(uid, attributes, detail, more)

    @asynccontextmanager
    async def _missing(self) -> AsyncIterator[None]:
        """A study counts as missing only if there are DICOMweb services that say so: a server
        without them (its plugin is not loaded, another root) says 404 to everything."""
        try:
            yield
        except StudyNotFoundError:
            await self._client.probe()
            raise

    async def _described(
        self, uid: str, attributes: Json, detail: Detail, more: QueryKeys
    ) -> Description:
        def of_series(keys: QueryKeys) -> Awaitable[Found]:
            search = self._client.series(uid, (*keys, *more))
            return self._all(search, (*keys, *more), "SeriesInstanceUID")

        series = await self._keys.ask(SERIES_KEYS, of_series)
        listing = None
        if detail is not Detail.SERIES:
            listing = partial(self._instances, uid, detail=detail)
        return await described(uid, attributes, series, more, listing)

    async def _instances(self, study: str, series: str, detail: Detail) -> Found:
        def of_instances(keys: QueryKeys) -> Awaitable[Found]:
            return self._all(self._client.instances(study, series, keys), keys, "SOPInstanceUID")

        if detail is Detail.INSTANCES:
            return await self._keys.ask(LISTED_KEYS, of_instances)
        return await of_instances(_COMPARED_KEYS)

    async def _all(self, search: Search, keys: Collection[str], unique: str) -> Found:
        found = [understood(answer, keys) async for answer in search]
        usable = [attributes for attributes in found if is_uid(text(attributes, unique))]
        left = [attributes for attributes in found if not is_uid(text(attributes, unique))]
        if count := self._left_out.new(left):
            log.warning("answers without a usable UID left out", pacs=self.address, count=count)
        if search.untold:
            log.warning("answers failed", pacs=self.address, count=search.untold)
        return Found(usable, search.is_cut, search.untold + len(left))

    def retrieve(
        self, study: Description, wanted: Collection[str] | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[Retrieved]]:
        """By WADO-RS: whole where it can be, and instance by instance what that does not give."""
        return streamed(lambda put: self._retrieve(study, wanted, put))

    async def _retrieve(self, study: Description, wanted: Collection[str] | None, put: Put) -> None:
        series_of = {uid: one.uid for one in study.series for uid in uids_of(one)}

        async def alone(uids: Sequence[str], take: Put) -> None:
            for uid in uids:
                await self._request(study.uid, RetrieveRequest(series_of[uid], (uid,)), take)

        taken = Taken(put)
        for part in plan(study, wanted):
            if part.instances:
                await salvage(part.instances, taken, alone, self.check, most=1)
                continue
            try:
                await self._request(study.uid, part, taken.put)
            except (PacsError, DeadlineError, StudyNotFoundError) as error:
                await self.check()
                log.warning(
                    "what one request did not give is asked for one by one",
                    pacs=self.address,
                    why=str(error),
                )
                study = await self.describe(study.uid, Detail.UIDS)
                series_of |= {uid: one.uid for one in study.series for uid in uids_of(one)}
                rest = [uid for uid, of in series_of.items() if part.series in (None, of)]
                await salvage(rest, taken, alone, self.check, most=1)
                if not taken.usable:
                    raise

    async def _request(self, study: str, part: RetrieveRequest, put: Put) -> None:
        uid = part.instances[0] if part.instances else None
        async with (
            self._missing(),
            self._client.retrieve(study, part.series, uid) as instances,
        ):
            async for instance in instances:
                if isinstance(instance, BrokenInstanceError):
                    await put(FailedInstance(instance, uid))
                else:
                    await put(instance)
