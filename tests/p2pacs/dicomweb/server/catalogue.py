"""A backend that has one study of two series, all in memory: for tests of the server alone."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from attrs import define, field, frozen

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dataset.json_model import entry
from p2pacs.dataset.metadata import MetadataWriter
from p2pacs.dataset.vocabulary import tag
from p2pacs.dicomweb.server.backend import (
    FrameSource,
    OpenedResource,
    Resource,
    SearchPage,
)
from p2pacs.dicomweb.server.query import SearchQuery
from p2pacs.dicomweb.server.told import InstanceMetadata
from p2pacs.errors import NotFoundError
from p2pacs.rendering.options import RenderOptions
from p2pacs.study.study_index import InstanceEntry
from tests.p2pacs.study import samples

STUDY = samples.STUDY_UID
SERIES = str(samples.dataset().SeriesInstanceUID)
INSTANCES = [samples.instance(number, rows=8, columns=8) for number in (1, 2)]
FRAME_BYTES = 2 * 8 * 8


@frozen
class _Frames:
    instance: EncodedInstance

    count = 1
    transfer_syntax = samples.EXPLICIT

    @property
    def digest(self) -> bytes:
        return self.instance.sop_instance_uid.encode()

    async def read(self, frame: int) -> bytes:
        return self.instance.data[-FRAME_BYTES:]

    decoded = progressive = read

    async def draw(self, frame: int, options: RenderOptions) -> bytes:
        return f"{options}".encode()


@frozen
class _Instance:
    outline: InstanceEntry
    instance: EncodedInstance

    async def read(self) -> EncodedInstance:
        return self.instance

    async def read_into(self, buffer: memoryview) -> None:
        buffer[:] = self.instance.data


@frozen
class _Opened:
    resource: Resource

    tag = "7f"
    missing = 0
    why = ""
    transfer_syntaxes = (samples.EXPLICIT,)

    def _found(self) -> list[EncodedInstance]:
        named = self.resource
        if named.series not in (None, SERIES):
            return []
        return [one for one in INSTANCES if named.instance in (None, one.sop_instance_uid)]

    @property
    def outline(self) -> list[InstanceEntry]:
        return [
            InstanceEntry(
                one.sop_class_uid,
                one.sop_instance_uid,
                SERIES,
                one.transfer_syntax_uid,
                b"",
                len(one.data),
                (),
                b"",
            )
            for one in self._found()
        ]

    async def instances(self) -> AsyncGenerator[Sequence[_Instance], None]:
        if not self._found():
            raise NotFoundError("no such series in the study")
        for outline, one in zip(self.outline, self._found(), strict=True):
            yield [_Instance(outline, one)]

    async def metadata(self) -> AsyncGenerator[Sequence[InstanceMetadata], None]:
        writer = MetadataWriter()
        for one in self._found():
            resource = Resource(STUDY, SERIES, one.sop_instance_uid)
            header, syntax = one.data[:-FRAME_BYTES], one.transfer_syntax_uid
            yield [InstanceMetadata.of(resource, header, syntax, writer)]


@define
class OneStudy:
    """A `p2pacs.dicomweb.server.backend.DicomwebBackend`."""

    callers: list[str] = field(factory=list)

    async def search(self, query: SearchQuery, caller: str) -> SearchPage:
        self.callers.append(caller)
        uids = {"StudyInstanceUID": STUDY, "SeriesInstanceUID": SERIES}
        uids["SOPInstanceUID"] = INSTANCES[0].sop_instance_uid
        return SearchPage([{tag(key): entry("UI", uid) for key, uid in uids.items()}])

    @asynccontextmanager
    async def open(self, resource: Resource, caller: str) -> AsyncIterator[OpenedResource]:
        if resource.study != STUDY:
            raise NotFoundError("no such study")
        yield _Opened(resource)  # type: ignore[misc]

    def look(self, resource: Resource, caller: str) -> AbstractAsyncContextManager[OpenedResource]:
        return self.open(resource, caller)

    @asynccontextmanager
    async def frames(self, resource: Resource, caller: str) -> AsyncIterator[FrameSource]:
        async with self.open(resource, caller) as opened:
            async for (one,) in opened.instances():
                yield _Frames(await one.read())
                return

    async def bulk_data(self, resource: Resource, path: Sequence[int], caller: str) -> bytes:
        async with self.open(resource, caller):
            return b"%PDF-1.4"
