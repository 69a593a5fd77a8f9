"""A PACS over DICOMweb: QIDO-RS to look, WADO-RS to retrieve as stored."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from urllib.parse import quote

import structlog

from broker.pacs.adapter import (
    CENTRAL,
    INSTANCE_KEYS,
    SERIES_KEYS,
    STUDY_KEYS,
    DateSpan,
)
from broker.pacs.address import WebAddress
from broker.pacs.plan import RetrieveRequest, plan
from broker.pacs.stream import Put, streamed
from broker.pacs.windows import by_windows
from p2pacs.catalogue.records import SeriesRecord
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dataset.json_model import Json, text, understood
from p2pacs.dataset.uids import is_uid
from p2pacs.dicomweb.client import Answer, DicomwebClient
from p2pacs.errors import StudyNotFoundError
from p2pacs.publish.source import Description, Detail

log = structlog.get_logger(__name__)


def open_client(address: WebAddress, silence: float) -> DicomwebClient:
    """The client for an address: an async context manager."""
    root = address.url
    if address.credentials is not None:
        user, password = (quote(part, safe="") for part in address.credentials)
        root = root.replace("://", f"://{user}:{password}@", 1)
    return DicomwebClient(root, silence=silence, name=CENTRAL)


class WebAdapter:
    """See `PacsAdapter`."""

    name = CENTRAL

    def __init__(self, address: WebAddress, client: DicomwebClient) -> None:
        self._address = address
        self._client = client

    @property
    def address(self) -> str:
        """The root of the services."""
        return str(self._address)

    async def check(self) -> None:
        """A search that finds nothing."""
        await self._client.probe()

    async def studies(self, span: DateSpan) -> AsyncIterator[Json]:
        """By QIDO-RS, window by window."""
        async for study in by_windows(self._ask, span, datetime.now(UTC).date()):
            yield study

    async def _ask(self, dates: str, times: str) -> list[Json]:
        query = {"StudyDate": dates, "StudyTime": times}
        answers = self._client.studies({k: v for k, v in query.items() if v}, STUDY_KEYS)
        return await self._all(answers, STUDY_KEYS, "StudyInstanceUID")

    async def describe(self, uid: str, detail: Detail = Detail.INSTANCES) -> Description:
        """By QIDO-RS for the study, its series, and the instances of each series."""
        answers = self._client.studies({"StudyInstanceUID": uid}, STUDY_KEYS)
        found = await self._all(answers, STUDY_KEYS, "StudyInstanceUID")
        attributes = next((one for one in found if text(one, "StudyInstanceUID") == uid), None)
        if attributes is None:
            raise StudyNotFoundError(f"{self.name} does not have this study (any more)")
        async with self._missing():
            series = await self._series(uid, detail)
        return Description(uid, attributes, series)

    @asynccontextmanager
    async def _missing(self) -> AsyncIterator[None]:
        """A study counts as missing only if there are DICOMweb services that say so: a server
        without them (its plugin is not loaded, another root) says 404 to everything."""
        try:
            yield
        except StudyNotFoundError:
            await self._client.probe()
            raise

    async def _series(self, uid: str, detail: Detail) -> tuple[SeriesRecord, ...]:
        found = await self._all(
            self._client.series(uid, SERIES_KEYS), SERIES_KEYS, "SeriesInstanceUID"
        )
        series = [
            SeriesRecord(
                series_uid := text(one, "SeriesInstanceUID"),
                one,
                () if detail is Detail.SERIES else await self._instances(uid, series_uid),
            )
            for one in found
        ]
        return tuple(series)

    async def _instances(self, study: str, series: str) -> tuple[Json, ...]:
        answers = self._client.instances(study, series, INSTANCE_KEYS)
        return tuple(await self._all(answers, INSTANCE_KEYS, "SOPInstanceUID"))

    async def _all(
        self, answers: AsyncIterator[Answer], keys: Collection[str], unique: str
    ) -> list[Json]:
        found = [understood(answer, keys) async for answer in answers]
        usable = [attributes for attributes in found if is_uid(text(attributes, unique))]
        if len(usable) < len(found):
            log.warning(
                "answers without a valid UID left out",
                pacs=self.address,
                count=len(found) - len(usable),
            )
        return usable

    def retrieve(
        self, study: Description, wanted: Collection[str] | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[EncodedInstance]]:
        """By WADO-RS."""

        async def produce(put: Put) -> None:
            for part in plan(study, wanted):
                await self._part(study.uid, part, put)

        return streamed(produce)

    async def _part(self, study: str, part: RetrieveRequest, put: Put) -> None:
        for uid in part.instances or (None,):
            async with (
                self._missing(),
                self._client.retrieve(study, part.series, uid) as instances,
            ):
                async for instance in instances:
                    await put(instance)
