"""A PACS over DICOMweb: QIDO-RS to look, WADO-RS to retrieve as stored."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Collection, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from math import isfinite
from typing import Any, Final
from urllib.parse import quote

import structlog

from broker.pacs.adapter import (
    CENTRAL,
    INSTANCE_KEYS,
    SERIES_KEYS,
    STUDY_KEYS,
    DateSpan,
    is_uid,
)
from broker.pacs.address import WebAddress
from broker.pacs.plan import RetrieveRequest, plan
from broker.pacs.stream import Put, streamed
from broker.pacs.windows import by_windows
from p2pacs.catalogue.records import SeriesRecord
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dataset.json_model import Json, text
from p2pacs.dicomweb.client import DicomwebClient
from p2pacs.errors import StudyNotFoundError
from p2pacs.publish.source import Description, Detail

log = structlog.get_logger(__name__)

_SURROGATES: Final = re.compile("[\ud800-\udfff]")
"""What JSON can write and UTF-8 cannot."""


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
        self, answers: AsyncIterator[Any], keys: Collection[str], unique: str
    ) -> list[Json]:
        found = [clean(answer, keys) async for answer in answers]
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


def clean(answer: Any, keys: Iterable[str]) -> Json:
    """The attributes of an answer that have the shape of the JSON model."""
    attributes: Json = {}
    for key in keys:
        entry = answer.get(key)
        if not isinstance(entry, dict):
            continue
        vr, values = entry.get("vr"), entry.get("Value", [])
        if isinstance(vr, str) and len(vr) == 2 and isinstance(values, list):
            kept = [value for value in values if _usable(value, vr)]
            attributes[key] = {"vr": vr, "Value": kept} if kept else {"vr": vr}
    return attributes


def _usable(value: Any, vr: str) -> bool:
    if vr == "PN":
        return isinstance(value, dict) and all(
            isinstance(part, str) and _usable(part, "") for part in value.values()
        )
    if isinstance(value, str):
        return value.isascii() or not _SURROGATES.search(value)
    return isinstance(value, int) or (isinstance(value, float) and isfinite(value))
