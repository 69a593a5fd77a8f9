"""What of a study is here, read: whole instances, bytes of them, previews of their frames."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Final, TypeVar

import trio
from attrs import frozen

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dataset.pixel_data import Reading
from p2pacs.errors import CodingError, CorruptStoreError, NotFoundError, WorkerError
from p2pacs.phrases import Phrase
from p2pacs.store import StudyStore
from p2pacs.study.codecs import IMAGES
from p2pacs.study.excerpt import ExcerptRun, Excerpts
from p2pacs.study.gathered import Gathered, decode_gathered
from p2pacs.study.images import Picture
from p2pacs.study.reader import StudyReader
from p2pacs.workers.coding import Workers
from peer.retrieval.instances.decoded_cache import DecodedCache
from peer.retrieval.instances.live_index import Known, LiveIndex, open_chunks

T = TypeVar("T")

_FEW: Final = 2
"""Chunks that are loaded one by one: what looks for fragments reads the same ones many times."""


@frozen
class Preview:
    """What is shown of a frame before its instance is whole: never to diagnose from."""

    level: int
    picture: Picture


class InstanceReader:
    """Reads the instances that an index knows; images are decoded in worker processes."""

    def __init__(
        self,
        index: LiveIndex,
        chunks: StudyStore,
        workers: Workers,
        decoded: DecodedCache | None = None,
    ) -> None:
        """A reader of one study.

        Args:
            index: says which instances there are, and where.
            chunks: the study's place in the store.
            workers: decode images.
            decoded: keeps what they decoded.
        """
        self._index = index
        self._chunks = chunks
        self._workers = workers
        self._decoded = decoded

    async def join(self, known: Known) -> EncodedInstance:
        """One instance, bit for bit; its chunks are here.

        Raises:
            CorruptStoreError: a chunk has rotted.
            CodingError: it does not come out exact, or crashes its decoder.
        """
        if (held := await self.decoded(known)) is not None:
            return held
        try:
            found = await trio.to_thread.run_sync(self._gather, known)
        except CorruptStoreError:
            await self._chunks.verify(known.chunks)
            raise
        if isinstance(found, EncodedInstance):
            return found
        try:
            made = await self._workers.decode(found)
        except WorkerError as error:
            raise CodingError(f"an instance does not decode: {error}") from error
        if self._decoded is not None:
            self._decoded.put(known.entry.sha256, made.data)
        return made

    async def decode_ahead(self, known: Known) -> bool:
        """Have image codecs make an instance for whoever will read it, and keep that.

        Returns:
            Whether there was anything to decode: not where no image codec is needed, or a chunk is
            not as it should be, which its reader finds and mends.

        Raises:
            CodingError: it does not decode.
        """
        try:
            found = await trio.to_thread.run_sync(self._gather_images, known)
        except CorruptStoreError:
            return False
        if found is None or self._decoded is None:
            return False
        try:
            made = await self._workers.decode(found)
        except WorkerError as error:
            raise CodingError(f"an instance does not decode: {error}") from error
        await self._decoded.keep(known.entry.sha256, made.data)
        return True

    def _gather_images(self, known: Known) -> Gathered | None:
        reader = self._index.reader
        if not any(ref.codec in IMAGES for ref in reader.index.refs(known.entry)):
            return None
        return reader.gather(known.entry, self._open(known.chunks))

    async def decoded(self, known: Known) -> EncodedInstance | None:
        """An instance that image codecs made, if it is still kept."""
        return None if self._decoded is None else await self._decoded.get(known.entry)

    async def decoded_into(self, known: Known, buffer: memoryview) -> bool:
        """Its data set, into a buffer of that size, if it is still kept; else nothing of use."""
        return self._decoded is not None and await self._decoded.get_into(known.entry, buffer)

    def keeps(self, known: Known) -> bool:
        """Whether an instance that image codecs made is kept, as far as is known."""
        return self._decoded is not None and self._decoded.holds(known.entry)

    async def excerpts(self, known: Known) -> Excerpts:
        """What gives some bytes of an instance, without the rest of it.

        Raises:
            CodingError: what the index declares does not add up.
        """
        return await trio.to_thread.run_sync(Excerpts, self._index.reader, known.entry)

    async def header_chunks(self, some: Sequence[Known]) -> set[int]:
        """The chunks that the headers of these instances need.

        Raises:
            CodingError: what the index declares does not add up.
        """
        return await trio.to_thread.run_sync(_header_chunks, self._index.reader, some)

    async def go_on(self, run: ExcerptRun[T], is_here: Callable[[int], bool]) -> tuple[int, ...]:
        """Read of an instance as far as its chunks are here.

        Returns:
            The chunks that are needed next; none: it is done.

        Raises:
            CorruptStoreError: a chunk has rotted.
            CodingError: something does not come out exact, or crashes its decoder.
            P2PacsError: whatever the reading itself raises.
        """
        while True:
            try:
                stop = await trio.to_thread.run_sync(run.advance, is_here, self._source)
            except CorruptStoreError:
                if run.span is not None:
                    await self._chunks.verify(run.excerpts.chunks(*run.span))
                raise
            if not stop.parts:
                return stop.missing
            try:
                run.send(await self._workers.excerpt(stop.parts))
            except WorkerError as error:
                raise CodingError(f"an instance does not decode: {error}") from error

    async def read_here(
        self, instances: Sequence[Known], make: Callable[[Excerpts], Reading[T]]
    ) -> list[T | None]:
        """What a reading makes of each of several instances, all of whose chunks are here: in one
        go, where each by itself would cost more in threads than in reading.

        Args:
            instances: which.
            make: begins the reading of one of them.

        Returns:
            Of each what it made; None where it must be read by itself (`go_on`).

        Raises:
            P2PacsError: whatever the reading itself raises.
        """
        return await trio.to_thread.run_sync(self._read_here, instances, make)

    def _read_here(
        self, instances: Sequence[Known], make: Callable[[Excerpts], Reading[T]]
    ) -> list[T | None]:
        found: list[T | None] = []
        for known in instances:
            excerpts = Excerpts(self._index.reader, known.entry)
            run = ExcerptRun(excerpts, make(excerpts))
            try:
                stop = run.advance(lambda _: True, self._source)
            except CorruptStoreError:
                found.append(None)
            else:
                found.append(None if stop.parts else run.result)
        return found

    def _source(self, numbers: Collection[int]) -> Callable[[int], bytes]:
        """These chunks: a few only if they are not open anyway, many together."""
        return self._read_one if len(numbers) <= _FEW else self._open(sorted(numbers))

    def _read_one(self, number: int) -> bytes:
        try:
            return self._chunks.load(number)
        except NotFoundError as error:  # it was here: another reader found it rotten
            raise CorruptStoreError(str(error)) from error

    def _gather(self, known: Known) -> EncodedInstance | Gathered:
        """The instance, or what workers make it of."""
        gathered = self._index.reader.gather(known.entry, self._open(known.chunks))
        return gathered if gathered.heavy else decode_gathered(gathered)

    async def preview(self, known: Known, frame: int, level: int) -> Preview:
        """What can be shown of a frame: at this level, or else at the next coarser one.

        Args:
            known: which instance.
            frame: from 1.
            level: how fine at most.

        Raises:
            NotFoundError: nothing that could be shown is here (yet).
            CorruptStoreError: a chunk has rotted.
            CodingError: it does not decode.
            WorkerError: it crashed its decoder.
        """
        try:
            level, codec, coded = await trio.to_thread.run_sync(self._shown, known, frame, level)
        except CorruptStoreError:
            await self._chunks.verify(number for _, numbers in known.levels for number in numbers)
            raise
        return Preview(level, await self._workers.picture(codec, coded))

    def _shown(self, known: Known, frame: int, level: int) -> tuple[int, int, bytes]:
        """(Level, codec, coded bytes) of the finest that is here."""
        reader, place = self._index.reader, frame - 1
        while place >= 0 and (blobs := reader.index.shown(known.entry, place, level)):
            level = reader.index.blobs.level(blobs[-1])
            try:
                found = reader.preview(known.entry, place, level, self._chunks.load)
            except NotFoundError:  # not all of it is here
                level += 1
                continue
            if found is None:
                break
            return level, *found
        raise NotFoundError(
            Phrase("nothing of image %(number)s can be shown (yet)", number=known.number)
        )

    def _open(self, numbers: Sequence[int]) -> Callable[[int], bytes]:
        return open_chunks(self._chunks, numbers)


def _header_chunks(reader: StudyReader, some: Sequence[Known]) -> set[int]:
    chunks = set[int]()
    for known in some:
        excerpts = Excerpts(reader, known.entry)
        chunks |= excerpts.chunks(0, excerpts.header_bytes)
    return chunks
