"""A large instance read from its beginning to its end, a few pieces of which are in memory.

It is decoded as it is taken, into no file: whoever takes it slowly has it decoded slowly. That it
is exact as a whole is known at its end only. So its last piece is not given before that is known,
and who gives it to others breaks off where it does not come.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Callable
from functools import partial
from typing import Final

import trio
from attrs import define, field

from p2pacs.dataset.large import LargeInstance
from p2pacs.dataset.pixel_data import Reading, Span
from p2pacs.errors import CodingError, UsageError
from p2pacs.limits import MIB
from p2pacs.study.excerpt import Excerpts
from p2pacs.study.study_index import InstanceEntry
from peer.retrieval.instances.live_index import Known
from peer.retrieval.instances.read_ahead import ReadAhead, ReadRequest
from peer.retrieval.study_fetch import StudyFetch

PIECE_BYTES: Final = 2 * MIB
"""Are read in one go, or one coded blob where that is larger."""

AHEAD: Final = 4
"""Pieces that are being read or wait to be taken: images are decoded on all cores ..."""

AHEAD_BYTES: Final = AHEAD * PIECE_BYTES
"""... and bytes of them."""


@define
class ExactPieces:
    """Whether pieces are those of an instance; used by one task or thread."""

    entry: InstanceEntry
    study: str
    """What its study is called in errors."""
    _digest: hashlib._Hash = field(factory=hashlib.sha256, init=False, repr=False)
    _size: int = field(default=0, init=False)

    def checked(self, piece: bytes) -> bytes:
        """The next piece.

        Raises:
            CodingError: it is the last one, and all of them together are not what was published.
        """
        self._digest.update(piece)
        self._size += len(piece)
        if self._size >= self.entry.size and self._digest.digest() != self.entry.sha256:
            raise CodingError(f"an instance of study {self.study} did not come out exact")
        return piece


@define(eq=False)
class PieceRequests:
    """What has a large instance read, piece by piece, several at once."""

    fetch: StudyFetch
    known: Known
    _idle: list[Excerpts] = field(factory=list, init=False)
    """Each is for one thread at a time."""

    async def all(self) -> AsyncGenerator[ReadRequest[bytes], None]:
        """In order."""
        excerpts = await self.fetch.excerpts(self.known)
        self._idle.append(excerpts)
        for first, end in excerpts.slices(PIECE_BYTES):
            yield ReadRequest(end - first, partial(self._read, first, end))

    async def _read(self, first: int, end: int) -> bytes:
        excerpts = self._idle.pop() if self._idle else await self.fetch.excerpts(self.known)
        try:
            return await self.fetch.run(excerpts, _span((first, end)))
        finally:
            self._idle.append(excerpts)


class LargeRead:
    """A large instance on its way to one task: `run` reads, `next` gives."""

    def __init__(self, fetch: StudyFetch, known: Known) -> None:
        """Nothing is read before `run`."""
        self._ahead = ReadAhead(PieceRequests(fetch, known).all(), AHEAD, AHEAD_BYTES)
        self._exact = ExactPieces(known.entry, fetch.study.short)

    async def run(self) -> None:
        """Read until all is read, or until cancelled."""
        await self._ahead.run()

    async def next(self) -> bytes | None:
        """The next piece; None after the last.

        Raises:
            CodingError: it does not come out exact.
            UnavailableError: what is missing did not come.
        """
        piece = await self._ahead.next()
        if piece is None:
            return None
        return await trio.to_thread.run_sync(self._exact.checked, piece)


async def pieces_in_turn(fetch: StudyFetch, known: Known) -> AsyncGenerator[bytes, None]:
    """The same without a task of its own: the next one is read when it is asked for.

    Raises:
        P2PacsError: as `LargeRead.next`.
    """
    excerpts = await fetch.excerpts(known)
    exact = ExactPieces(known.entry, fetch.study.short)
    for span in excerpts.slices(PIECE_BYTES):
        piece = await fetch.run(excerpts, _span(span))
        yield await trio.to_thread.run_sync(exact.checked, piece)


class TakenInOrder:
    """The bytes of something that comes in pieces, for who reads them from first to last: what
    `LargeInstance.read` is there. In one thread."""

    def __init__(self, take: Callable[[], bytes | None]) -> None:
        """Nothing is taken yet.

        Args:
            take: gives the next piece; None after the last.
        """
        self._take = take
        self._piece = b""
        self._begin = 0
        """Of the piece."""
        self._at = 0
        """Where the next bytes begin that may be read."""

    def read(self, first: int, end: int) -> bytes:
        """These bytes (the first, and the one after the last).

        Raises:
            UsageError: others were read before than those in front of them, or there are no such.
            P2PacsError: why they cannot be had.
        """
        if first != self._at or end < first:
            raise UsageError("a large instance is read from its beginning to its end, once")
        found = list[bytes]()
        while self._at < end:
            at = self._at - self._begin
            if at >= len(self._piece):
                self._begin += len(self._piece)
                if not (piece := self._take()):
                    raise UsageError("a large instance has no such bytes")
                self._piece = piece
                continue
            part = self._piece[at : at + end - self._at]
            found.append(part)
            self._at += len(part)
        return found[0] if len(found) == 1 else b"".join(found)


def large_instance(entry: InstanceEntry, take: Callable[[], bytes | None]) -> LargeInstance:
    """An instance out of pieces, to be read once and in order."""
    return LargeInstance(
        entry.sop_class_uid,
        entry.sop_instance_uid,
        entry.transfer_syntax_uid,
        entry.sha256,
        entry.size,
        TakenInOrder(take).read,
    )


def _span(span: Span) -> Reading[bytes]:
    return (yield span)
