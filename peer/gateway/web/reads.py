"""Studies that are read over DICOMweb: the right to, the audit, and waiting for what is named."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

import trio
from attrs import frozen

from p2pacs.catalogue.records import StudyRecord
from p2pacs.dataset.bulk_data import bulk_value
from p2pacs.dataset.header import required_header
from p2pacs.dicomweb.server.backend import Resource
from p2pacs.dimse.backend import Ending
from p2pacs.errors import NotFoundError, UsageError
from p2pacs.limits import CODED_FRAMES_BYTES
from p2pacs.rendering.options import RenderOptions
from p2pacs.rendering.render import FrameInput
from p2pacs.wire.messages.messages import VIEW
from p2pacs.workers.coding import Workers
from peer.gateway.studies.delivery import StudyDelivery
from peer.gateway.web.leaves import Leaves
from peer.gateway.web.viewings import Viewing, Viewings, ViewingTuning
from peer.retrieval.frame_reads import FrameReads, InstanceFrames, read_header_bytes
from peer.retrieval.instances.cursor import Wanted
from peer.retrieval.instances.live_index import Known
from peer.retrieval.reader import StudyReads
from peer.retrieval.requester import Requester
from peer.retrieval.study_fetch import StudyFetch

GET: Final = "get"
"""The purpose of who wants more than is here: the broker compares the study with the PACS first."""


class CodedFrames:
    """Frames that were coded for a client, in memory: the last ones."""

    def __init__(self, size: int = CODED_FRAMES_BYTES) -> None:
        self._size = size
        self._used = 0
        self._kept: OrderedDict[tuple[bytes, int], bytes] = OrderedDict()

    def get(self, key: tuple[bytes, int]) -> bytes | None:
        """The frame of this number of the instance of this digest, if it is there."""
        if (coded := self._kept.get(key)) is not None:
            self._kept.move_to_end(key)
        return coded

    def put(self, key: tuple[bytes, int], coded: bytes) -> None:
        """Keep one; those that were not asked for longest make room."""
        self._used += len(coded) - len(self._kept.pop(key, b""))
        self._kept[key] = coded
        while self._used > self._size:
            self._used -= len(self._kept.popitem(last=False)[1])


@frozen
class StoredFrames:
    """The frames of an instance, as `p2pacs.dicomweb.server.backend.FrameSource` has them."""

    frames: InstanceFrames
    fetch: StudyFetch
    workers: Workers
    coded: CodedFrames
    """What was coded lately."""

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

    async def progressive(self, frame: int) -> bytes:
        """A frame coded anew, which is kept for a while: viewers ask for it range by range; see
        `p2pacs.rendering.render.code_htj2k`."""
        key = self.digest, frame
        coded = self.coded.get(key)
        if coded is None:
            coded = await self.workers.code_htj2k(await self._input(frame))
            self.coded.put(key, coded)
        return coded

    async def draw(self, frame: int, options: RenderOptions) -> bytes:
        """A frame as a picture; see `p2pacs.rendering.render.render`."""
        return await self.workers.render(await self._input(frame), options)

    async def _input(self, frame: int) -> FrameInput:
        header = await read_header_bytes(self.fetch, self.frames.known)
        return FrameInput(await self.frames.read(frame), header, self.transfer_syntax, frame)


class WebReads:
    """Opens what clients of DICOMweb name."""

    def __init__(
        self, reads: StudyReads, workers: Workers, tuning: ViewingTuning | None = None
    ) -> None:
        self._reads = reads
        self._workers = workers
        self._viewings = Viewings(reads, tuning)
        self._leaves = Leaves(reads)
        self._frames = FrameReads()
        self._coded = CodedFrames()

    async def run(self) -> None:
        """Tell the audit who has stopped reading, and ask for leave again, until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._leaves.run)
            await self._viewings.run()

    async def view(self, study_instance_uid: str, caller: str) -> Viewing:
        """A study of which some instances are looked at; it comes here if it is not.

        Nobody waits until it was compared with the PACS, which took most of the time to a first
        frame.

        Args:
            study_instance_uid: which.
            caller: who looks.

        Raises:
            StudyNotFoundError: nobody knows it, as far as this peer may know.
            ForbiddenError: the access rule does not allow it.
            P2PacsError: why it cannot be read.
        """
        requester = Requester(caller, VIEW, detail="DICOMweb")
        return await self._viewings.open(study_instance_uid, requester)

    async def retrieve(
        self,
        study_instance_uid: str,
        caller: str,
        wanted: Wanted,
        told: Callable[[StudyRecord], None],
    ) -> StudyDelivery:
        """Begin to give all of a study that is wanted, at once as to a viewer: four fifths of the
        time of a first reading went into the comparison with the PACS. An entry of the audit each
        time; `end` says what became of it; ``told`` is given what the catalogue says of it.

        Raises:
            P2PacsError: as `view`.
        """
        requester = Requester(caller, VIEW, detail="DICOMweb WADO-RS")
        fetch, read = await self._leaves.open_audited(study_instance_uid, requester, told)
        return StudyDelivery(fetch, fetch.cursor(wanted), read, 0, wanted)

    async def compared(self, fetch: StudyFetch, caller: str) -> None:
        """Have a study compared with the PACS after all: the catalogue tells of more than is here.

        Raises:
            P2PacsError: as `view`.
        """
        await self._reads.resume(fetch.study, Requester(caller, GET, detail="DICOMweb"))

    def end(self, delivery: StudyDelivery, ending: Ending) -> None:
        """How a retrieval ended."""
        self._reads.end(delivery.read, delivery.ended(ending))

    @asynccontextmanager
    async def instance(
        self, resource: Resource, caller: str
    ) -> AsyncIterator[tuple[StudyFetch, Known]]:
        """An instance, as soon as it is known, and in use as long as the context is.

        Raises:
            NotFoundError: its study, all of which is known, has no such instance.
            P2PacsError: why it cannot be read.
        """
        viewing = await self.view(resource.study, caller)
        with viewing.in_use():
            known = await _find(viewing.fetch, resource)
            with viewing.giving(known):
                yield viewing.fetch, known

    @asynccontextmanager
    async def frames(self, resource: Resource, caller: str) -> AsyncIterator[StoredFrames]:
        """The frames of an instance, as soon as it is known where they lie.

        Raises:
            NotFoundError: there is no such instance, or it has no frames.
            P2PacsError: why it cannot be read.
        """
        async with self.instance(resource, caller) as (fetch, known):
            found = await self._frames.open(fetch, known)
            yield StoredFrames(found, fetch, self._workers, self._coded)

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
