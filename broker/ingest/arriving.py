"""Instances of a study that a member sends go into the PACS while the rest is still on its way.

When the last chunk comes, only the last instances are left to store; they go at once, too: asking
the PACS what it has first took 0.3 s, and that is done afterwards. Whatever goes wrong here is left
to the forwarding of the whole study, which looks at what the PACS has.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import structlog
import trio

from broker.pacs.adapter import PacsAdapter
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dataset.large import WHOLE_BYTES
from p2pacs.errors import P2PacsError, StudyNotFoundError
from p2pacs.identity.keys import StudyKey
from p2pacs.publish.source import Detail
from p2pacs.store import StudyStore
from p2pacs.study.gathered import Gathered
from p2pacs.study.reader import StudyReader
from p2pacs.study.study_index import InstanceEntry
from p2pacs.swarm.download.transfer import Transfer, TransferState

log = structlog.get_logger(__name__)

TOGETHER: Final = 16
"""Instances of one association, at most: on a fast line many are whole at once."""

PAUSE_SECONDS: Final = 1.0
"""Between two associations: a slow line makes an instance whole each second."""


class ArrivingInstances:
    """Stores what has become whole of one study. Used by one task."""

    def __init__(
        self,
        transfer: Transfer,
        files: StudyStore,
        key: StudyKey,
        pacs: PacsAdapter,
        decode: Callable[[Gathered], Awaitable[EncodedInstance]],
    ) -> None:
        """Nothing is stored before `run`.

        Args:
            transfer: by which the study comes.
            files: where its chunks are.
            key: of the study.
            pacs: where they go.
            decode: makes an instance of its blobs, verified.
        """
        self._transfer = transfer
        self._files = files
        self._key = key
        self._pacs = pacs
        self._decode = decode
        self._reader: StudyReader | None = None
        self._stored: set[str] = set()

    async def run(self, uid: str) -> None:
        """Store until all is stored, the transfer fails, or something goes wrong.

        Args:
            uid: the Study Instance UID.
        """
        transfer = self._transfer
        try:
            self._stored = await self._listed(uid)
            while transfer.state is not TransferState.FAILED:
                is_last, seen = self._is_over(), transfer.bytes_held
                ready = await trio.to_thread.run_sync(self._ready)
                for begin in range(0, len(ready), TOGETHER):
                    await self._store(ready[begin : begin + TOGETHER])
                if is_last:
                    return
                with trio.move_on_after(PAUSE_SECONDS):
                    await transfer.watch.until(self._is_over)
                await transfer.watch.until(partial(self._is_news, seen))
        except P2PacsError as error:
            log.info("instances wait for their study", study=transfer.study.short, why=str(error))

    def _is_over(self) -> bool:
        return self._transfer.state is not TransferState.FETCHING

    def _is_news(self, seen: int) -> bool:
        return self._is_over() or self._transfer.bytes_held != seen

    async def _listed(self, uid: str) -> set[str]:
        try:
            return set((await self._pacs.describe(uid, Detail.UIDS)).instances)
        except StudyNotFoundError:
            return set()

    def _ready(self) -> list[InstanceEntry]:
        """Instances that are whole and not in the PACS."""
        transfer = self._transfer
        root, chunks, have = transfer.root, transfer.chunks, transfer.have
        if root is None or chunks is None or len(chunks) != root.chunks:
            return []
        if self._reader is None:
            self._reader = StudyReader(self._key, root, chunks)
        elif root.version > self._reader.root.version:
            self._reader.follow(root, chunks)
        reader, load = self._reader, self._files.load
        reader.advance({number for number in reader.index_numbers if number in have}, load)
        return [
            entry
            for uid, entry in reader.index.instances.items()
            if uid not in self._stored
            and entry.size <= WHOLE_BYTES  # larger ones wait for the forwarding of the whole
            and all(number in have for number in reader.chunks_of(entry))
        ]

    async def _store(self, entries: list[InstanceEntry]) -> None:
        reader = self._reader
        if reader is None or self._transfer.state is TransferState.FAILED:
            return
        batch: list[EncodedInstance] = []
        for entry in entries:
            gather = partial(reader.gather, entry, self._files.load)
            batch.append(await self._decode(await trio.to_thread.run_sync(gather)))
        await self._pacs.store(batch)
        self._stored.update(entry.sop_instance_uid for entry in entries)
