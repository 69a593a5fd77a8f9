"""Some bytes of a data set without the rest of it: from the blobs that they lie in, and of raw
blobs from the chunks."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import accumulate
from typing import Final, Generic, TypeVar, cast

from attrs import field, frozen

from p2pacs.dataset.pixel_data import Reading, Span
from p2pacs.errors import CodingError
from p2pacs.study.codecs import IMAGES, RAW, decode
from p2pacs.study.coding import digest_of
from p2pacs.study.gathered import GatheredBlob
from p2pacs.study.reader import ReadChunk, StudyReader
from p2pacs.study.split import Kind
from p2pacs.study.study_index import InstanceEntry

T = TypeVar("T")

_HEADER: Final = int(Kind.HEADER)
_ENCAPSULATED: Final = int(Kind.ENCAPSULATED)


@frozen
class ExcerptPart:
    """A coded blob, or a part of a raw one, and which of its decoded bytes are wanted."""

    blob: GatheredBlob
    first: int
    end: int
    digest: bytes | None
    """Of all that comes out (`digest_of`); None where only a part of the blob is here."""


def decode_excerpt(parts: tuple[ExcerptPart, ...]) -> bytes:
    """The wanted bytes, end to end.

    Raises:
        CodingError: a blob does not decode, or not to what was published.
    """
    return b"".join(_decoded(part)[part.first : part.end] for part in parts)


def _decoded(part: ExcerptPart) -> bytes:
    blob = part.blob
    plain = decode(blob.codec, blob.coded, blob.size, blob.dictionary)
    if part.digest is not None and digest_of(plain) != part.digest:
        raise CodingError("a part of an instance did not come out exact")
    return plain


class Excerpts:
    """Excerpts of one instance; for one thread at a time."""

    def __init__(self, reader: StudyReader, entry: InstanceEntry) -> None:
        """Look where its blobs lie.

        Args:
            reader: of the study.
            entry: out of its index.

        Raises:
            CodingError: its blobs do not add up to its size.
        """
        self._reader = reader
        self._blobs = reader.index.blobs
        self._numbers = array("I", entry.blobs)
        sizes = array("I")
        for first, count in entry.ranges:
            sizes += self._blobs.sizes(first, count)
        self._starts = array("Q", accumulate(sizes, initial=0))
        """Of each blob in the data set; at last the end of it. A further part of a frame has no
        bytes, so the blob after it starts where it does."""
        if self._starts[-1] != entry.size:
            raise CodingError("the blobs of an instance do not add up to its size")
        self._open: tuple[int, bytes] | None = None

    @property
    def size(self) -> int:
        """Bytes of the data set."""
        return self._starts[-1]

    @property
    def header_bytes(self) -> int:
        """Bytes before the value of the pixel data; of an instance without any, all."""
        for place, number in enumerate(self._numbers):
            if self._blobs.kind[number] != _HEADER:
                return self._starts[place]
        return self.size

    def slices(self, most: int) -> Iterator[Span]:
        """All of it, cut where blobs begin: each is decoded once.

        Args:
            most: bytes of one, unless a coded blob has more; of a raw one any part is read alone.
        """
        first = 0
        for place in range(len(self._numbers)):
            start, end = self._starts[place : place + 2]
            if end - first > most and first < start:
                yield first, start
                first = start
            if self._blobs.codec[self._numbers[place]] == RAW:
                while end - first > most:
                    yield first, first + most
                    first += most
        if first < self.size:
            yield first, self.size

    def chunks(self, first: int, end: int) -> set[int]:
        """The chunks that these bytes need.

        Raises:
            ManifestError: the index names a chunk that the study does not have.
        """
        chunks: set[int] = set()
        for numbers, start, until in self._located(first, end):
            if self._blobs.codec[numbers[0]] == RAW:
                chunks |= self._reader.blob_chunks(numbers[0], start, until)
            elif self._open is None or self._open[0] != numbers[0]:
                chunks.update(*map(self._reader.blob_chunks, numbers))
        return chunks

    def is_heavy(self, first: int, end: int) -> bool:
        """Whether these bytes need an image codec: then `gather` them for a worker process."""
        return any(self._blobs.codec[one[0][0]] in IMAGES for one in self._located(first, end))

    def read(self, first: int, end: int, read: ReadChunk) -> bytes:
        """These bytes, which are not heavy.

        Raises:
            CorruptStoreError: a chunk does not match its id.
            CodingError: a chunk does not open, or a blob not come out exact.
        """
        return b"".join(
            self._piece(numbers, start, until, read)
            for numbers, start, until in self._located(first, end)
        )

    def _piece(self, numbers: Sequence[int], first: int, end: int, read: ReadChunk) -> bytes:
        """Of one blob. The last one with compressed pixel data stays open: who looks for their
        fragments reads a few bytes of it again and again."""
        number = numbers[0]
        if self._blobs.codec[number] == RAW or self._blobs.kind[number] != _ENCAPSULATED:
            return decode_excerpt((self._part(numbers, first, end, read),))
        if self._open is None or self._open[0] != number:
            self._open = number, _decoded(self._part(numbers, first, end, read))
        return self._open[1][first:end]

    def gather(self, first: int, end: int, read: ReadChunk) -> tuple[ExcerptPart, ...]:
        """What `decode_excerpt` makes these bytes of.

        Raises:
            CorruptStoreError, CodingError: as `read`.
        """
        located = self._located(first, end)
        return tuple(self._part(numbers, start, until, read) for numbers, start, until in located)

    def _part(self, numbers: Sequence[int], first: int, end: int, read: ReadChunk) -> ExcerptPart:
        number = numbers[0]
        size = self._blobs[number].size
        if self._blobs.codec[number] == RAW and end - first < size:
            coded = self._reader.blob(number, read, first, end).coded
            return ExcerptPart(GatheredBlob(RAW, end - first, coded), 0, end - first, None)
        blobs = [self._reader.blob(number, read) for number in numbers]
        whole = GatheredBlob(
            blobs[0].codec, size, b"".join(one.coded for one in blobs), blobs[0].dictionary
        )
        return ExcerptPart(whole, first, end, self._blobs.digest(number))

    def _located(self, first: int, end: int) -> Iterator[tuple[Sequence[int], int, int]]:
        """(Its number and those of its further parts, first, end) of each blob with such bytes."""
        if not 0 <= first <= end <= self.size:
            raise CodingError("an instance has no such bytes")
        place = bisect_right(self._starts, first) - 1
        while first < end:
            start, begun = self._starts[place], place
            place += 1
            while place < len(self._numbers) and self._starts[place] == self._starts[place + 1]:
                place += 1
            until = min(end, self._starts[place])
            yield self._numbers[begun:place], first - start, until - start
            first = until


class ExcerptRun(Generic[T]):
    """A `Reading` of an instance on its way."""

    def __init__(self, excerpts: Excerpts, reading: Reading[T]) -> None:
        """Begin; `P2PacsError` if it is over with that."""
        self.excerpts = excerpts
        self.span: Span | None = None
        """What it needs next; None: it is done, and has its result."""
        self._reading = reading
        self._result: T | None = None
        self._go(lambda: next(reading))

    @property
    def result(self) -> T:
        """What it returned."""
        return cast(T, self._result)

    def send(self, data: bytes) -> None:
        """Give it what it needs.

        Raises:
            P2PacsError: whatever it raises.
        """
        self._go(lambda: self._reading.send(data))

    def _go(self, step: Callable[[], Span]) -> None:
        try:
            self.span = step()
        except StopIteration as stop:
            self.span, self._result = None, stop.value

    def advance(
        self, is_here: Callable[[int], bool], read: Callable[[Collection[int]], ReadChunk]
    ) -> RunStop:
        """Go on as far as its chunks are here and no image codec is needed.

        Args:
            is_here: whether a chunk is here.
            read: gives what reads these chunks.

        Raises:
            CorruptStoreError: a chunk does not match its id; it can go on when that is mended.
            P2PacsError: whatever it raises.
        """
        while self.span is not None:
            chunks = self.excerpts.chunks(*self.span)
            if missing := [number for number in chunks if not is_here(number)]:
                return RunStop(missing=tuple(sorted(missing)))
            source = read(chunks)
            if self.excerpts.is_heavy(*self.span):
                return RunStop(parts=self.excerpts.gather(*self.span, source))
            self.send(self.excerpts.read(*self.span, source))
        return RunStop()


@frozen
class RunStop:
    """Why an `ExcerptRun` does not go on: it is done, or needs one of these."""

    missing: tuple[int, ...] = ()
    """Chunks that are not here."""
    parts: tuple[ExcerptPart, ...] = field(default=(), repr=False)
    """What a worker process is to decode."""
