"""A study as a ZIP file with a DICOMDIR, written while it is read, and while it comes.

One instance at a time is in memory, a large one by pieces, and nothing is on disk. Names in it say
nothing of the patient. If not all of it can be had, the file is broken off: never does something
look whole that is not.
"""

from __future__ import annotations

import time
import zipfile
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import IO, Final

import structlog
import trio
from attrs import define, field, frozen
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from p2pacs.concurrency.budget import Budget
from p2pacs.dataset.dicomdir import DirectoryEntry, write_dicomdir
from p2pacs.dataset.instance import EncodedInstance, part10_head
from p2pacs.dataset.large import WHOLE_BYTES
from p2pacs.errors import P2PacsError
from p2pacs.limits import MIB
from peer.retrieval.audit import ReadEnding, ReadOutcome
from peer.retrieval.instances.live_index import Known
from peer.retrieval.large_reads import pieces_in_turn
from peer.retrieval.study_fetch import StudyFetch

_PIECE: Final = MIB
"""Bytes that are given to the HTTP library at once."""

log = structlog.get_logger(__name__)


def file_id(known: Known) -> tuple[str, ...]:
    """The name of an instance in the archive (PS3.10 8.2): by its places in the study alone."""
    return "DICOM", f"S{known.series % 10**7:07}", f"I{known.number % 10**7:07}"


@define
class _Sink:
    """What a ZIP file is written to, and taken from as it grows."""

    data: bytearray = field(factory=bytearray)

    def write(self, data: bytes, /) -> int:
        self.data += data
        return len(data)

    def flush(self) -> None:
        """Nothing is kept back."""

    def close(self) -> None:
        """Nothing is open."""

    def take(self) -> bytes:
        taken, self.data = bytes(self.data), bytearray()
        return taken


class ZipStream:
    """A ZIP file of stored (not compressed) files, given out as it is written; in threads."""

    def __init__(self) -> None:
        self._sink = _Sink()
        # Without seek() the file is written straight on, with its sizes behind each entry.
        self._zip = zipfile.ZipFile(self._sink, "w", zipfile.ZIP_STORED)
        self._when = time.localtime()[:6]
        self._open: IO[bytes] | None = None

    def add(self, name: str, data: bytes) -> bytes:
        """What the file grows by with another one in it."""
        info = zipfile.ZipInfo(name, self._when)
        info.external_attr = 0o600 << 16
        self._zip.writestr(info, data)
        return self._sink.take()

    def begin(self, name: str) -> bytes:
        """What it grows by where a large file begins, which then comes in pieces."""
        info = zipfile.ZipInfo(name, self._when)
        info.external_attr = 0o600 << 16
        self._open = self._zip.open(info, "w", force_zip64=True)
        return self._sink.take()

    def go_on(self, piece: bytes) -> bytes:
        """What it grows by with the next piece of that."""
        if self._open is not None:
            self._open.write(piece)
        return self._sink.take()

    def close(self) -> bytes:
        """What it grows by where that ends."""
        opened, self._open = self._open, None
        if opened is not None:
            opened.close()
        return self._sink.take()

    def end(self) -> bytes:
        """The end of the file."""
        self._zip.close()
        return self._sink.take()


@frozen
class StudyArchive:
    """A study that is given as a ZIP file."""

    fetch: StudyFetch
    budget: Budget
    """Bytes of instances that are in memory for all who download."""
    ended: Callable[[ReadEnding], None]
    """Told what became of it."""

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """The file, piece by piece.

        Raises:
            P2PacsError: why not all of it can be had.
        """
        stream, cursor = ZipStream(), self.fetch.cursor()
        entries: dict[int, DirectoryEntry] = {}
        ending = ReadEnding(ReadOutcome.INTERRUPTED, 0, 0)
        with self.fetch.in_use():
            try:
                while (known := await cursor.next()) is not None:
                    size = 2 * min(known.entry.size, WHOLE_BYTES)
                    await self.budget.acquire(size)
                    try:
                        async with aclosing(self._file(stream, known)) as grown:
                            async for piece in grown:
                                yield piece
                        entries[known.number] = _entry(known)
                    finally:
                        self.budget.release(size)
                yield await trio.to_thread.run_sync(_finish, stream, entries, self._missing())
                count = len(entries) + self.fetch.left_out.count
                outcome = ReadOutcome.FAILED if self.fetch.left_out.count else ReadOutcome.DONE
                ending = ReadEnding(outcome, len(entries), count)
            except P2PacsError:
                ending = ReadEnding(ReadOutcome.FAILED, len(entries), len(self.fetch.present))
                raise
            finally:
                self.ended(ending)

    async def _file(self, stream: ZipStream, known: Known) -> AsyncGenerator[bytes, None]:
        """What the file grows by with an instance."""
        if known.entry.size <= WHOLE_BYTES:
            instance = await self.fetch.read(known)
            yield await trio.to_thread.run_sync(_add, stream, known, instance)
            return
        in_thread, entry = trio.to_thread.run_sync, known.entry
        head = part10_head(entry.sop_class_uid, entry.sop_instance_uid, entry.transfer_syntax_uid)
        yield await in_thread(stream.begin, "/".join(file_id(known)))
        yield await in_thread(stream.go_on, head)
        async with aclosing(pieces_in_turn(self.fetch, known)) as pieces:
            async for piece in pieces:
                yield await in_thread(stream.go_on, piece)
        yield await in_thread(stream.close)

    def _missing(self) -> str:
        """What the archive says of images that the PACS did not give; empty if it gave all."""
        left_out = self.fetch.left_out
        if not left_out.count:
            return ""
        return (
            f"NOT COMPLETE: the PACS lists {left_out.count} more images of this study than it gave:"
            f" {left_out.why}.\r\n"
        )


def _entry(known: Known) -> DirectoryEntry:
    entry = known.entry
    return DirectoryEntry(
        file_id(known),
        entry.sop_class_uid,
        entry.sop_instance_uid,
        entry.transfer_syntax_uid,
        entry.attributes,
    )


def _add(stream: ZipStream, known: Known, instance: EncodedInstance) -> bytes:
    return stream.add("/".join(file_id(known)), instance.part10())


def _finish(stream: ZipStream, entries: dict[int, DirectoryEntry], missing: str) -> bytes:
    ordered = [entries[number] for number in sorted(entries)]
    end = stream.add("DICOMDIR", write_dicomdir(ordered))
    if missing:
        end += stream.add("MISSING.TXT", missing.encode())
    return end + stream.end()


class ArchiveAnswer(Response):
    """The file as an HTTP answer, which is cut off if it cannot be whole."""

    def __init__(self, pieces: AsyncGenerator[bytes, None], name: str) -> None:
        super().__init__(media_type="application/zip")
        del self.headers["content-length"]
        self.headers["Content-Disposition"] = f'attachment; filename="{name}.zip"'
        self._pieces = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        async with aclosing(self._pieces), trio.open_nursery() as nursery:
            nursery.start_soon(_until_gone, receive, nursery.cancel_scope)
            await send(start)
            try:
                async for piece in self._pieces:
                    for at in range(0, len(piece), _PIECE):
                        part = piece[at : at + _PIECE]
                        await send({"type": "http.response.body", "body": part, "more_body": True})
            except P2PacsError as error:
                log.warning("a download was cut off", why=str(error))
            else:
                await send({"type": "http.response.body"})
            nursery.cancel_scope.cancel()


async def _until_gone(receive: Receive, scope: trio.CancelScope) -> None:
    """Nobody reads any more: what is read for it ends."""
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()
