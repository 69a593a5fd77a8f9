"""The index of a study as it grows: its instances numbered in the order of their first mention."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TypeVar

import trio
from attrs import evolve, field, frozen

from p2pacs.dataset.json_model import number
from p2pacs.errors import (
    CorruptStoreError,
    ManifestError,
    NotFoundError,
)
from p2pacs.identity.keys import StudyKey
from p2pacs.store import StudyStore
from p2pacs.study.manifest import ChunkList, Root
from p2pacs.study.reader import StudyReader
from p2pacs.study.study_index import InstanceEntry, LeftOut

T = TypeVar("T")


@frozen
class Known:
    """One instance of the index."""

    number: int
    """Its place in the study, from 1; the same in every version."""
    entry: InstanceEntry = field(repr=False)
    chunks: tuple[int, ...] = field(repr=False)
    """Numbers of the chunks that it needs."""
    series: int = field(repr=False)
    """The place of its series in the study, from 1; the same in every version."""
    levels: tuple[tuple[int, tuple[int, ...]], ...] = field(repr=False)
    """(Level, chunks that complete it beyond coarser ones), coarsest first, level 0 last; a level
    is the log2 of how much smaller than the image is what can be shown of it."""
    place: int = field(default=0, repr=False)
    """Its Instance Number, the order within its series; 0 if it has none."""
    series_number: int = field(default=0, repr=False)
    """Its Series Number; 0 if it has none."""
    withdrawn: bool = False
    """Whether the PACS has it no longer: it keeps its number and is not given any more."""


class LiveIndex:
    """Follows a study from version to version."""

    def __init__(
        self,
        key: StudyKey,
        chunks: StudyStore,
    ) -> None:
        """An index that knows nothing yet.

        Args:
            key: of the study.
            chunks: the study's place in the store.
        """
        self.known: list[Known] = []
        """Number n is at n - 1."""
        self._key = key
        self._chunks = chunks
        self._places: dict[str, int] = {}
        self._series: dict[str, int] = {}
        self._reader: StudyReader | None = None
        self._loading = False
        """Whether a part is read whose instances are not in `known` yet."""

    @property
    def version(self) -> int:
        """The version whose index is read in whole; 0 for none."""
        reader = self._reader
        return reader.root.version if reader and reader.whole and not self._loading else 0

    async def follow(self, root: Root, chunks: ChunkList) -> None:
        """Go by this version from now on.

        Raises:
            ManifestError: it does not extend the one before, or the list is not the root's.
        """
        if self._reader is None:
            make = partial(StudyReader, self._key, root, chunks)
            self._reader = await trio.to_thread.run_sync(make)
        elif root.version > self._reader.root.version:
            await trio.to_thread.run_sync(self._reader.follow, root, chunks)

    def by_uid(self, sop_instance_uid: str) -> Known | None:
        """The instance of this UID, if it is known and not withdrawn."""
        number = self._places.get(sop_instance_uid, 0)
        known = self.known[number - 1] if 0 < number <= len(self.known) else None
        return None if known is None or known.withdrawn else known

    @property
    def left_out(self) -> LeftOut:
        """What the PACS lists and did not give, by what is read so far."""
        return self._reader.index.left_out if self._reader else LeftOut()

    @property
    def parts(self) -> list[range]:
        """The chunks of each index part that is not loaded, in the order of loading."""
        if self._reader is None or self._reader.whole:
            return []
        parts = [part.numbers for part in self._reader.root.parts]
        first = self._reader.index_numbers[0]
        return parts[[numbers[0] for numbers in parts].index(first) :]

    async def load(self) -> None:
        """Load the next part, whose chunks are here.

        Raises:
            CorruptStoreError: a chunk has rotted.
            CodingError: the key does not open it.
            ManifestError: the part cannot be.
        """
        numbers = self.parts[0]
        self._loading = True
        try:
            self._take_in(await trio.to_thread.run_sync(self._load, numbers))
        except CorruptStoreError:
            await self._chunks.verify(numbers)  # what is rotten is no longer held
            raise
        finally:
            self._loading = False

    def _take_in(self, added: Iterable[Known]) -> None:
        for known in added:
            if known.number <= len(self.known):
                self.known[known.number - 1] = known
            else:
                self.known.append(known)
        for uid in self.reader.index.withdrawn:
            if (place := self._places.get(uid)) is not None:
                self.known[place - 1] = evolve(self.known[place - 1], withdrawn=True)

    def _load(self, numbers: Sequence[int]) -> list[Known]:
        reader = self.reader
        entries = reader.load_part(open_chunks(self._chunks, numbers))
        return [self._number(entry, reader) for entry in entries]

    def _number(self, entry: InstanceEntry, reader: StudyReader) -> Known:
        place = self._places.setdefault(entry.sop_instance_uid, len(self._places) + 1)
        series = self._series.setdefault(entry.series_instance_uid, len(self._series) + 1)
        chunks = tuple(reader.chunks_of(entry))
        return Known(
            place,
            entry,
            chunks,
            series,
            reader.levels(entry),
            *_places(entry),
        )

    @property
    def reader(self) -> StudyReader:
        """What reads this version's instances out of chunks."""
        if self._reader is None:
            raise RuntimeError("follow() comes before reading")
        return self._reader


def open_chunks(chunks: StudyStore, numbers: Sequence[int]) -> Callable[[int], bytes]:
    """These chunks, read together; in a worker thread.

    Raises:
        CorruptStoreError: the disk cannot read one, or it is not held any more.
    """
    try:
        found = chunks.load_many(numbers)
    except NotFoundError as error:  # they were here: another reader found one rotten
        raise CorruptStoreError(str(error)) from error
    return dict(zip(numbers, found, strict=True)).__getitem__


def _places(entry: InstanceEntry) -> tuple[int, int]:
    """Its Instance Number and Series Number; 0 if it has none."""
    try:
        said = entry.some("InstanceNumber", "SeriesNumber")
    except ManifestError:  # they are not needed for more than the order
        return 0, 0
    return number(said, "InstanceNumber") or 0, number(said, "SeriesNumber") or 0
