"""The metadata of instances that were told lately, or will be asked for soon, in memory.

Whoever opens a study in a viewer waits for the metadata of all its images before the first one is
asked for. To read the headers of 300 and to write them takes a fifth of a second of a core; so it
is done as they come, while the browser reads the viewer's scripts, and the rest of the index comes.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

import trio

from p2pacs.concurrency.groups import single_error
from p2pacs.dataset.metadata import MetadataWriter
from p2pacs.dicomweb.server.backend import Resource
from p2pacs.dicomweb.server.told import InstanceMetadata
from p2pacs.limits import METADATA_TEXT_BYTES
from peer.retrieval.frame_reads import read_headers
from peer.retrieval.instances.live_index import Known
from peer.retrieval.study_fetch import StudyFetch

TOGETHER: Final = 32
"""Headers that are read at once: the first ones should not be long in coming."""


class MetadataTexts:
    """Texts of instances by their digests: the last ones that were asked for."""

    def __init__(self, size: int = METADATA_TEXT_BYTES) -> None:
        """None yet.

        Args:
            size: bytes of them at most.
        """
        self._size = size
        self._used = 0
        self._kept: OrderedDict[tuple[str, bytes], InstanceMetadata] = OrderedDict()
        self._one = trio.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    async def of(
        self, fetch: StudyFetch, study: str, instances: Sequence[Known], writer: MetadataWriter
    ) -> list[InstanceMetadata]:
        """The metadata of these instances, as soon as the headers of all of them are here.

        Args:
            fetch: the study.
            study: its UID.
            instances: which.
            writer: of who asks.

        Raises:
            BrokenInstanceError: a header cannot be read.
            P2PacsError: why one does not come.
        """
        found = self._held(study, instances)
        if new := [one for one in instances if one.number not in found]:
            headers = dict(zip(new, await read_headers(fetch, new), strict=True))
            async with self._one:  # who waits for one finds what was written for another
                found |= self._held(study, new)
                left = [(one, raw) for one, raw in headers.items() if one.number not in found]
                for one, text in await trio.to_thread.run_sync(_written, study, left, writer):
                    found[one.number] = text
                    self._keep((study, one.entry.sha256), text)
        return [found[one.number] for one in instances]

    async def ahead(self, fetch: StudyFetch, study: str) -> None:
        """Write those of all instances of a study as it comes, what a viewer begins with first.

        Not all of the index need be here for that, though nothing is told before: what is written
        of an instance that has changed by then is not found.

        Args:
            fetch: the study.
            study: its UID.

        Raises:
            BrokenInstanceError: a header cannot be read.
            P2PacsError: why one does not come.
        """
        writer = MetadataWriter()
        send, receive = trio.open_memory_channel[Sequence[Known]](math.inf)  # they are in memory

        async def listed() -> None:
            with send:
                await fetch.want_beginning(send.send_nowait)

        with single_error():
            async with trio.open_nursery() as nursery:
                nursery.start_soon(listed)
                async for new in receive:
                    for at in range(0, len(new), TOGETHER):
                        await self.of(fetch, study, new[at : at + TOGETHER], writer)

    def _held(self, study: str, instances: Sequence[Known]) -> dict[int, InstanceMetadata]:
        found = dict[int, InstanceMetadata]()
        for one in instances:
            key = study, one.entry.sha256
            if (text := self._kept.get(key)) is not None:
                self._kept.move_to_end(key)
                found[one.number] = text
        return found

    def _keep(self, key: tuple[str, bytes], text: InstanceMetadata) -> None:
        before = self._kept.pop(key, None)
        self._used += text.size - (before.size if before is not None else 0)
        self._kept[key] = text
        while self._used > self._size:
            self._used -= self._kept.popitem(last=False)[1].size


def _written(
    study: str, headers: Sequence[tuple[Known, bytes]], writer: MetadataWriter
) -> list[tuple[Known, InstanceMetadata]]:
    made = list[tuple[Known, InstanceMetadata]]()
    for one, raw in headers:
        entry = one.entry
        instance = Resource(study, entry.series_instance_uid, entry.sop_instance_uid)
        text = InstanceMetadata.of(instance, raw, entry.transfer_syntax_uid, writer)
        made.append((one, text))
    return made
