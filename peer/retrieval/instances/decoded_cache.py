"""Instances that were decoded lately, on the disk: who reads a study after somebody else has it at
the speed of the disk, and not of image codecs.

They lie in one file without a name, which is gone with the process however that ends. It is a ring:
the oldest make room. All in it is sealed with a key that is in memory alone, and opens to what was
put in or not at all: so the disk holds nothing of a patient that it could give away, and what has
rotted is decoded anew.
"""

from __future__ import annotations

import hashlib
import math
import os
import shutil
import tempfile
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import structlog
import trio
from attrs import define, field, frozen

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.errors import CodingError, LocalError, local_error
from p2pacs.limits import KIB, MIB
from p2pacs.process.heap import MAPPED_BYTES
from p2pacs.process.sparse_log import Sparse
from p2pacs.store.positioned import read_at, read_held, write_at
from p2pacs.study.seal import PASSING_SEAL_BYTES, PassingSeal
from p2pacs.study.study_index import InstanceEntry

_BLOCK: Final = MAPPED_BYTES - 64 * KIB
"""Bytes that are sealed at once: the C library has memory for one ready, where a larger one would
be mapped anew, which takes four times as long as to open it."""

log = structlog.get_logger(__name__)


@frozen
class CacheTuning:
    """What the cache goes by."""

    waiting: int = 32
    """Instances that wait to be written at most ..."""

    waiting_bytes: int = 8 * MIB
    """... and bytes of them; of what comes faster than the disk takes it, some is not kept."""

    share: int = 4
    """An instance of more than this part of the cache is not kept."""

    reserve: int = 1024 * MIB
    """With less room than this on the disk nothing more is kept, with less than half of it nothing
    at all: it is others' first."""

    look: float = 5.0
    """Seconds between two looks at the room on the disk."""


TUNING: Final = CacheTuning()


@frozen
class Place:
    """Where an instance lies."""

    position: int
    """Bytes that were given out before it, ever: no two instances have the same."""
    size: int
    """Bytes of its data set."""


@define
class Ring:
    """Where instances lie in a file of bounded size. Pure."""

    capacity: int
    """Bytes of the file."""
    _given: int = field(default=0, init=False)
    _places: OrderedDict[bytes, Place] = field(factory=OrderedDict, init=False)

    def __len__(self) -> int:
        return len(self._places)

    def find(self, digest: bytes) -> Place | None:
        """The instance of this digest, if it is there."""
        return self._places.get(digest)

    def offset(self, place: Place) -> int:
        """Where it begins in the file."""
        return place.position % self.capacity

    def reserve(self, size: int) -> Place:
        """Room for an instance of so many bytes, which fit; those that lay there are gone."""
        length = sealed_bytes(size)
        begin = self._given
        if begin % self.capacity + length > self.capacity:  # it lies in one piece
            begin += self.capacity - begin % self.capacity
        self._given = begin + length
        while self._places and self._oldest.position < self._given - self.capacity:
            self._places.popitem(last=False)
        return Place(begin, size)

    def add(self, digest: bytes, place: Place) -> None:
        """An instance was written to its place."""
        self._places[digest] = place

    def remove(self, digest: bytes) -> None:
        """It cannot be read any more."""
        self._places.pop(digest, None)

    def clear(self) -> None:
        """None is there any more; no position is given twice."""
        self._places.clear()

    @property
    def _oldest(self) -> Place:
        return next(iter(self._places.values()))


def sealed_bytes(size: int) -> int:
    """Bytes in the file of an instance of so many."""
    return size + -(-size // _BLOCK) * PASSING_SEAL_BYTES


class DecodedCache:
    """Decoded instances. `open_decoded_cache` makes one, `run` fills it."""

    def __init__(
        self, handle: int | None, folder: Path, capacity: int, tuning: CacheTuning
    ) -> None:
        self.capacity = capacity
        """Bytes; 0 if nothing is kept."""
        self._handle = handle
        self._folder = folder
        self._ring = Ring(capacity)
        self._tuning = tuning
        self._seal = PassingSeal()
        self._sparse = Sparse()
        self._scratch = memoryview(bytearray(_BLOCK + PASSING_SEAL_BYTES if capacity else 0))
        self._bytes = 0
        self._writing = trio.Lock()
        self._send, self._receive = trio.open_memory_channel[tuple[bytes, bytes]](tuning.waiting)

    def __len__(self) -> int:
        return len(self._ring)

    @property
    def handle(self) -> int:
        """The file's descriptor.

        Raises:
            LocalError: there is none.
        """
        if self._handle is None:
            raise LocalError("nothing is kept")
        return self._handle

    def holds(self, entry: InstanceEntry) -> bool:
        """Whether an instance is there, as far as is known."""
        return self._ring.find(entry.sha256) is not None

    async def get(self, entry: InstanceEntry) -> EncodedInstance | None:
        """The instance that an entry of an index names, bit for bit, if it is there."""
        buffer = bytearray(entry.size) if self.holds(entry) else bytearray()
        if not await self.get_into(entry, memoryview(buffer)):
            return None
        return EncodedInstance(
            entry.sop_class_uid, entry.sop_instance_uid, entry.transfer_syntax_uid, bytes(buffer)
        )

    async def get_into(self, entry: InstanceEntry, buffer: memoryview) -> bool:
        """Its data set, into a buffer of that size, if it is there; else nothing of use."""
        place = self._ring.find(entry.sha256)
        if place is None or not place.size == entry.size == len(buffer):
            return False
        if self._read_at_once(place, buffer):
            return True
        if await trio.to_thread.run_sync(self._read, place, buffer):
            return True
        if self._ring.find(entry.sha256) is place:  # it was not overwritten meanwhile
            self._ring.remove(entry.sha256)
            self._warn("a decoded instance cannot be read again: it is decoded anew")
        return False

    def put(self, sha256: bytes, data: bytes) -> None:
        """Keep a data set of this SHA-256, unless there is no room or no time for it."""
        size = len(data)
        fits = sealed_bytes(size) * self._tuning.share <= self._ring.capacity
        is_much = self._bytes > 0 and self._bytes + size > self._tuning.waiting_bytes
        if self._handle is None or not fits or is_much or self._ring.find(sha256) is not None:
            return
        try:
            self._send.send_nowait((sha256, data))
        except trio.WouldBlock:
            return
        self._bytes += size

    async def run(self) -> None:
        """Write what is to be kept, and give way where the disk is full, until cancelled."""
        while True:
            with trio.move_on_after(self._tuning.look if self._ring else math.inf) as patience:
                digest, data = await self._receive.receive()
            if patience.cancelled_caught:
                await self.give_way()
            else:
                self._bytes -= len(data)
                await self.keep(digest, data)

    async def keep(self, digest: bytes, data: bytes) -> None:
        """Write one, unless there is no room for it on the disk. Several are written one after the
        other: the ring knows the oldest by the order in which they were added."""
        async with self._writing:
            await self._keep(digest, data)

    async def _keep(self, digest: bytes, data: bytes) -> None:
        if self._ring.find(digest) is not None:
            return
        room = await trio.to_thread.run_sync(self._room)
        if room < self._tuning.reserve + len(data):
            await self.give_way()
            return
        place = self._ring.reserve(len(data))
        try:
            kept = await trio.to_thread.run_sync(self._write, place, digest, data)
        except OSError as error:
            self._warn("decoded instances cannot be kept", why=error.strerror)
            await self._empty()
            return
        if kept:
            self._ring.add(digest, place)

    async def give_way(self) -> None:
        """Throw all of it away if the disk is nearly full."""
        if await trio.to_thread.run_sync(self._room) < self._tuning.reserve // 2 and self._ring:
            self._warn("the disk is nearly full: decoded instances were thrown away")
            await self._empty()

    async def _empty(self) -> None:
        self._ring.clear()
        if self._handle is not None:
            with suppress(OSError):  # a disk that fails gives nothing back
                await trio.to_thread.run_sync(os.ftruncate, self._handle, 0)

    def _read_at_once(self, place: Place, buffer: memoryview) -> bool:
        """Whether it could: a small instance that is in memory still, in a third of the time that a
        thread takes to be woken."""
        if self._handle is None or place.size > _BLOCK:
            return False
        sealed = self._scratch[: sealed_bytes(place.size)]
        if not read_held(self._handle, sealed, self._ring.offset(place)):
            return False
        try:
            self._seal.open_into(place.position, 0, sealed, buffer)
        except CodingError:
            return False
        return True

    # ------------------------------------------------------------ in threads

    def _room(self) -> int:
        return shutil.disk_usage(self._folder).free

    def _write(self, place: Place, digest: bytes, data: bytes) -> bool:
        """Whether it is what it should be, and all of it was written."""
        if self._handle is None or hashlib.sha256(data).digest() != digest:
            return False
        offset, plain = self._ring.offset(place), memoryview(data)
        for number, at in enumerate(range(0, len(data), _BLOCK)):
            sealed = self._seal.seal(place.position, number, plain[at : at + _BLOCK])
            if write_at(self._handle, [sealed], offset) < len(sealed):
                return False
            offset += len(sealed)
        return True

    def _read(self, place: Place, buffer: memoryview) -> bool:
        """False: it is not there any more (or another thread moved the file's one offset, on
        Windows)."""
        if self._handle is None:
            return False
        offset = self._ring.offset(place)
        try:
            for number, at in enumerate(range(0, place.size, _BLOCK)):
                block = buffer[at : at + _BLOCK]
                sealed = read_at(self._handle, len(block) + PASSING_SEAL_BYTES, offset)
                self._seal.open_into(place.position, number, sealed, block)
                offset += len(sealed)
        except (OSError, CodingError):
            return False
        return True

    def _warn(self, event: str, **fields: object) -> None:
        self._sparse.warn(log, event, None, trio.current_time(), **fields)


@asynccontextmanager
async def open_decoded_cache(
    folder: Path, capacity: int, tuning: CacheTuning = TUNING
) -> AsyncIterator[DecodedCache]:
    """A cache, empty, and gone at the end of the block.

    Args:
        folder: on whose disk.
        capacity: bytes; 0: nothing is kept.
        tuning: what it goes by.

    Raises:
        LocalError: nothing can be made in the folder.
    """
    if not capacity:
        yield DecodedCache(None, folder, 0, tuning)
        return
    try:
        file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - closed below
    except OSError as error:
        raise local_error(error, f"cannot make a file in {folder}") from error
    with file:
        yield DecodedCache(file.fileno(), folder, capacity, tuning)
