"""Instances that members sent are stored in the central PACS, and it is seen that it has them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path

import trio
from attrs import frozen

from broker.ingest.committing import Committing
from broker.ingest.decoded_file import DecodeBlobs, decoded_file
from broker.ingest.read_back import ReadBack
from broker.ingest.sent import SentStudy
from broker.pacs.adapter import PacsAdapter
from broker.trail.audit import Entry
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dataset.large import WHOLE_BYTES
from p2pacs.errors import PacsRefusedError, StudyNotFoundError
from p2pacs.publish.source import Detail
from p2pacs.store import StudyStore
from p2pacs.study.gathered import Gathered
from p2pacs.study.reader import StudyReader
from p2pacs.study.study_index import InstanceEntry


@frozen
class DecodeLarge:
    """How instances are decoded that are too large for the memory."""

    decode: DecodeBlobs
    folder: Path
    """On its disk they lie meanwhile."""


class Storing:
    """Stores what the PACS lacks of a study, has it commit to all, and compares."""

    def __init__(
        self,
        pacs: PacsAdapter,
        decode: Callable[[Gathered], Awaitable[EncodedInstance]],
        large: DecodeLarge,
        batch_bytes: int,
        remembered: int,
        *,
        record: Callable[[Entry], Awaitable[None]],
    ) -> None:
        """Nothing is stored yet.

        Args:
            pacs: the central PACS.
            decode: makes an instance of its coded blobs, verified.
            large: the same of large ones.
            batch_bytes: of data sets that are stored at once.
            remembered: studies of which it is known what the PACS has.
            record: writes down in the audit trail what the PACS committed to.
        """
        self._pacs = pacs
        self._decode = decode
        self._large = large
        self._batch_bytes = batch_bytes
        self._committing = Committing(pacs, remembered, record)
        self._read_back = ReadBack(pacs, remembered)

    async def bring_home(
        self,
        sent: SentStudy,
        reader: StudyReader,
        files: StudyStore,
        entries: Mapping[str, InstanceEntry],
    ) -> int:
        """Store what the PACS lacks, have it commit to all, and compare; how many it changed.

        Raises:
            PacsError: it did not take all, or did not commit to all, or has not all.
        """
        study = sent.study
        refused = self._committing.refused(study) & entries.keys()
        self._read_back.forget(study, refused)
        lacking = (set(entries) - await self._listed(sent.uid)) | refused
        await self._store(reader, files, [entries[uid] for uid in sorted(lacking)])
        await self._committing.ask(sent, entries)
        return await self._read_back.compare(study, sent.uid, entries)

    async def _listed(self, uid: str) -> set[str]:
        try:
            described = await self._pacs.describe(uid, Detail.UIDS)
        except StudyNotFoundError:
            return set()
        return set(described.instances)

    async def _store(
        self, reader: StudyReader, files: StudyStore, entries: list[InstanceEntry]
    ) -> None:
        """Decode, verify and store; one that the PACS does not take keeps no other back.

        Raises:
            PacsRefusedError: it did not take all.
        """
        refused: PacsRefusedError | None = None
        batch: list[EncodedInstance] = []
        for entry in entries:
            if entry.size > WHOLE_BYTES:
                refused = await self._store_large(reader, files, entry) or refused
                continue
            gathered = await trio.to_thread.run_sync(partial(reader.gather, entry, files.load))
            batch.append(await self._decode(gathered))
            if sum(len(one.data) for one in batch) >= self._batch_bytes:
                refused = await self._store_batch(batch) or refused
                batch = []
        refused = await self._store_batch(batch) or refused
        if refused is not None:
            raise refused

    async def _store_large(
        self, reader: StudyReader, files: StudyStore, entry: InstanceEntry
    ) -> PacsRefusedError | None:
        """Decode into a file, verify and store from there; why it was not taken."""
        decode, folder = self._large.decode, self._large.folder
        async with decoded_file(reader, entry, files.load, decode, folder) as instance:
            try:
                await self._pacs.store([instance])
            except PacsRefusedError as error:
                return error
        return None

    async def _store_batch(self, batch: list[EncodedInstance]) -> PacsRefusedError | None:
        """Store these, one by one if they are not taken together; why one was not."""
        try:
            if batch:
                await self._pacs.store(batch)
        except PacsRefusedError as error:
            if len(batch) == 1:
                return error
            results = [await self._store_batch([one]) for one in batch]
            return next((one for one in results if one is not None), None)
        return None
