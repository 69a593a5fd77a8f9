"""The frames of an instance one by one, as they are stored, without the rest of it."""

from __future__ import annotations

import zlib
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final, Protocol, TypeVar

import trio
from attrs import frozen

from p2pacs.dataset.elements import attributes_of
from p2pacs.dataset.header import DEFLATED, EXPLICIT, required_header
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dataset.pixel_data import NativePixels, PixelData, Reading, find_pixel_data, run
from p2pacs.errors import BrokenInstanceError
from p2pacs.limits import HEADER_READ_BYTES, INFLATED_BYTES, MIB
from p2pacs.study.excerpt import Excerpts
from peer.retrieval.instances.live_index import Known
from peer.retrieval.study_fetch import StudyFetch

T = TypeVar("T")


KEPT: Final = 16
"""Instances of which it is remembered where their frames lie: viewers ask for one frame after the
other, and without an offset table all of an instance is looked through for the first one."""


_SMALL: Final = 4 * MIB
"""Bytes of an instance that is read in whole for one of its frames, where it is decoded already."""


class _ByteSource(Protocol):
    """Where the bytes of one instance are."""

    @property
    def header_bytes(self) -> int:
        """Bytes before the value of its pixel data, or all where there are none."""

    @property
    def size(self) -> int:
        """Bytes of its data set."""

    async def run(self, reading: Reading[T]) -> T:
        """What a reading makes of them."""


@frozen
class _Stored:
    """The chunks of a study: what is not here yet is waited for, and comes first."""

    fetch: StudyFetch
    excerpts: Excerpts

    @property
    def header_bytes(self) -> int:
        return self.excerpts.header_bytes

    @property
    def size(self) -> int:
        return self.excerpts.size

    async def run(self, reading: Reading[T]) -> T:
        return await self.fetch.run(self.excerpts, reading)


@frozen
class _InMemory:
    """All bytes in memory: of a deflated data set there is no part without what is before it."""

    data: bytes

    @property
    def header_bytes(self) -> int:
        return self.size

    @property
    def size(self) -> int:
        return len(self.data)

    async def run(self, reading: Reading[T]) -> T:
        return await trio.to_thread.run_sync(run, reading, self.bytes_of)

    def bytes_of(self, first: int, end: int) -> bytes:
        """Some of them."""
        return self.data[first:end]


class InstanceFrames:
    """The frames of one instance; for one task. `FrameReads.open` makes one."""

    def __init__(self, known: Known, source: _ByteSource, pixels: PixelData) -> None:
        self.known = known
        self._source = source
        self._pixels = pixels

    @property
    def count(self) -> int:
        """How many there are."""
        return self._pixels.count

    async def read(self, frame: int) -> bytes:
        """One frame: of compressed pixel data its fragments joined; of native ones its bytes,
        little endian, single bits packed from the first byte on.

        Args:
            frame: from 1.

        Raises:
            NotFoundError: there is no such frame.
            BrokenInstanceError: the pixel data are not as their header says.
            CodingError: it does not come out exact.
            UnavailableError: what is missing did not come.
        """
        reading, source = self._pixels.read(frame - 1), self._source
        is_plain = isinstance(self._pixels, NativePixels) and self._pixels.is_plain
        if is_plain and isinstance(source, _InMemory) and source.size <= _SMALL:
            return run(reading, source.bytes_of)  # a thread takes longer to be woken
        return await source.run(reading)


class FrameReads:
    """Opens instances to be read by frames."""

    def __init__(self) -> None:
        self._found: OrderedDict[tuple[str, bytes], PixelData] = OrderedDict()

    async def open(self, fetch: StudyFetch, known: Known) -> InstanceFrames:
        """Look where the frames of an instance lie; of one that is on its way, as soon as its
        header and its offset table are here.

        Raises:
            NotFoundError: it has no pixel data.
            BrokenInstanceError: they make no sense.
            P2PacsError: why it cannot be read.
        """
        entry = known.entry
        syntax = entry.transfer_syntax_uid
        source: _ByteSource
        if syntax == DEFLATED:
            syntax = EXPLICIT
            if entry.size > INFLATED_BYTES:
                raise _too_large()
            whole = await fetch.read(known)
            source = _InMemory(await trio.to_thread.run_sync(_inflated, whole))
        elif entry.size <= _SMALL and (decoded := await fetch.decoded(known)) is not None:
            source = _InMemory(decoded.data)
        else:
            source = _Stored(fetch, await fetch.excerpts(known))
        key = entry.sop_instance_uid, entry.sha256
        pixels = self._found.get(key)
        if pixels is None:
            pixels = await source.run(_look(syntax, source.header_bytes, source.size))
            self._found[key] = pixels
            if len(self._found) > KEPT:
                self._found.popitem(last=False)
        self._found.move_to_end(key)
        return InstanceFrames(known, source, pixels)


async def read_header_bytes(fetch: StudyFetch, known: Known) -> bytes:
    """The beginning of a data set, up to the value of its pixel data; all where it has none, and
    of a deflated one.

    Raises:
        BrokenInstanceError: it is longer than a header may be.
        P2PacsError: why it cannot be read.
    """
    excerpts = await fetch.excerpts(known)
    return await fetch.run(excerpts, _header(excerpts.header_bytes))


async def read_headers(fetch: StudyFetch, instances: Sequence[Known]) -> list[bytes]:
    """The same of several, in one go: each by itself costs more in threads than in reading.

    Raises:
        P2PacsError: as `read_header_bytes`, of one of them.
    """
    found = await fetch.read_headers(instances, lambda excerpts: _header(excerpts.header_bytes))
    return [
        await read_header_bytes(fetch, known) if data is None else data
        for known, data in zip(instances, found, strict=True)
    ]


def _header(size: int) -> Reading[bytes]:
    if size > HEADER_READ_BYTES:
        raise BrokenInstanceError("the header of an instance is too large: retrieve the instance")
    return (yield 0, size)


def _look(syntax: str, header_bytes: int, size: int) -> Reading[PixelData]:
    header = required_header((yield from _header(header_bytes)), syntax)
    return (yield from find_pixel_data(header, attributes_of(header), size))


def _inflated(whole: EncodedInstance) -> bytes:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        data = inflater.decompress(whole.data, INFLATED_BYTES)
    except zlib.error as error:
        raise BrokenInstanceError("a deflated instance cannot be inflated") from error
    if inflater.unconsumed_tail:
        raise _too_large()
    return data


def _too_large() -> BrokenInstanceError:
    return BrokenInstanceError("a deflated instance is too large: retrieve it as it is")
