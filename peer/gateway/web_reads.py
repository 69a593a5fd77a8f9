"""Studies that are read over DICOMweb: the right to, the audit, and waiting for what is named."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import trio
from attrs import define, frozen

from p2pacs.dataset.bulk_data import bulk_value
from p2pacs.dataset.header import required_header
from p2pacs.dicomweb.server.backend import Resource
from p2pacs.errors import NotFoundError, UsageError
from p2pacs.rendering.options import RenderOptions
from p2pacs.rendering.render import FrameInput
from p2pacs.workers.coding import Workers
from peer.retrieval.frame_reads import FrameReads, InstanceFrames, read_header_bytes
from peer.retrieval.live_index import Known
from peer.retrieval.reader import StudyReads
from peer.retrieval.requester import Requester
from peer.retrieval.study_fetch import StudyFetch


@frozen
class WebReadTuning:
    """What `WebReads` goes by; seconds."""

    trusted: float = 60.0
    """After which the right to read is looked at again: a viewer asks for hundreds of frames."""

    told: float = 900.0
    """After which the audit has another entry of somebody who goes on reading a study."""

    remembered: int = 256
    """Studies and readers of which this is known."""


@define
class _WebReader:
    """Somebody who reads a study."""

    fetch: StudyFetch
    trusted_until: float
    told_until: float


@frozen
class StoredFrames:
    """The frames of an instance, as `p2pacs.dicomweb.server.backend.FrameSource` has them."""

    frames: InstanceFrames
    fetch: StudyFetch
    workers: Workers

    @property
    def count(self) -> int:
        """How many there are."""
        return self.frames.count

    @property
    def transfer_syntax(self) -> str:
        """In which the instance is stored."""
        return self.frames.known.entry.transfer_syntax_uid

    @property
    def digest(self) -> bytes:
        """SHA-256 of the data set."""
        return self.frames.known.entry.sha256

    async def read(self, frame: int) -> bytes:
        """A frame; see `InstanceFrames.read`."""
        return await self.frames.read(frame)

    async def decoded(self, frame: int) -> bytes:
        """A compressed frame as a native one; see `p2pacs.rendering.render.decode_native`."""
        return await self.workers.decode_native(await self._input(frame))

    async def draw(self, frame: int, options: RenderOptions) -> bytes:
        """A frame as a picture; see `p2pacs.rendering.render.render`."""
        return await self.workers.render(await self._input(frame), options)

    async def _input(self, frame: int) -> FrameInput:
        header = await read_header_bytes(self.fetch, self.frames.known)
        return FrameInput(await self.frames.read(frame), header, self.transfer_syntax, frame)


class WebReads:
    """Opens what clients of DICOMweb name."""

    def __init__(
        self, reads: StudyReads, workers: Workers, tuning: WebReadTuning | None = None
    ) -> None:
        self._reads = reads
        self._workers = workers
        self._tuning = tuning or WebReadTuning()
        self._readers: OrderedDict[tuple[str, str], _WebReader] = OrderedDict()
        self._frames = FrameReads()

    async def open(self, study_instance_uid: str, caller: str) -> StudyFetch:
        """A study, which comes here if it is not.

        Raises:
            StudyNotFoundError: nobody knows it, as far as this peer may know.
            ForbiddenError: the access rule does not allow it.
            P2PacsError: why it cannot be read.
        """
        key, now = (study_instance_uid, caller), trio.current_time()
        reader = self._readers.get(key)
        if reader is not None and now < reader.trusted_until and self._is_open(reader.fetch):
            return reader.fetch
        requester = Requester(caller, "get", detail="DICOMweb")
        if reader is not None and now < reader.told_until:
            told_until = reader.told_until
            fetch = await self._reads.resume(reader.fetch.study, requester)
        else:
            told_until = now + self._tuning.told
            fetch = await self._reads.open(study_instance_uid, requester)
        self._readers[key] = _WebReader(fetch, now + self._tuning.trusted, told_until)
        self._readers.move_to_end(key)
        while len(self._readers) > self._tuning.remembered:
            self._readers.popitem(last=False)
        return fetch

    def _is_open(self, fetch: StudyFetch) -> bool:
        """Whether it is read still: it may have been recycled, or given up, meanwhile."""
        return not fetch.given_up and fetch in self._reads.fetches

    @asynccontextmanager
    async def instance(
        self, resource: Resource, caller: str
    ) -> AsyncIterator[tuple[StudyFetch, Known]]:
        """An instance, as soon as it is known, and in use as long as the context is.

        Raises:
            NotFoundError: its study, all of which is known, has no such instance.
            P2PacsError: why it cannot be read.
        """
        fetch = await self.open(resource.study, caller)
        with fetch.in_use():
            yield fetch, await _find(fetch, resource)

    @asynccontextmanager
    async def frames(self, resource: Resource, caller: str) -> AsyncIterator[StoredFrames]:
        """The frames of an instance, as soon as it is known where they lie.

        Raises:
            NotFoundError: there is no such instance, or it has no frames.
            P2PacsError: why it cannot be read.
        """
        async with self.instance(resource, caller) as (fetch, known):
            yield StoredFrames(await self._frames.open(fetch, known), fetch, self._workers)

    async def bulk_data(self, resource: Resource, path: Sequence[int], caller: str) -> bytes:
        """A value before the pixel data of an instance, as soon as its header is here.

        Raises:
            NotFoundError: there is no such instance, or it has no such value.
            P2PacsError: why it cannot be read.
        """
        async with self.instance(resource, caller) as (fetch, known):
            raw = await read_header_bytes(fetch, known)
            syntax = known.entry.transfer_syntax_uid
        return await trio.to_thread.run_sync(_bulk_value, raw, syntax, path)


def _bulk_value(raw: bytes, syntax: str, path: Sequence[int]) -> bytes:
    return bulk_value(required_header(raw, syntax), path)


async def _find(fetch: StudyFetch, resource: Resource) -> Known:
    if resource.instance is None:
        raise UsageError("the path must name an instance")
    while True:
        mark = fetch.mark()
        if not fetch.settled:
            await fetch.refresh()
        known = fetch.by_uid(resource.instance) if fetch.current else None
        if known is not None and known.entry.series_instance_uid == resource.series:
            return known
        if fetch.settled:
            raise NotFoundError("no such instance in this series")
        await fetch.moved(mark)
