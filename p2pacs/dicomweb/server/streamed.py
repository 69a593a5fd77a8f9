"""Answers of WADO-RS that are sent while they are read.

An answer begins as soon as its first part is here. If the others do not come, it ends without the
closing delimiter and, over HTTP/1.1, by a connection that is closed in the middle: never does
something look whole that is not.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from mmap import mmap
from typing import Final

import structlog
import trio
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from p2pacs.concurrency.groups import single_error
from p2pacs.dicomweb.accept import Accept, Representation
from p2pacs.dicomweb.multipart_writer import boundary_for, closing, related
from p2pacs.dicomweb.server.backend import (
    InstanceData,
    InstanceOutline,
    InstanceText,
    OpenedResource,
)
from p2pacs.dicomweb.server.file_heads import DICOM, FileHeads, content_type, meta
from p2pacs.errors import P2PacsError, UnavailableError
from p2pacs.limits import KIB, MIB
from p2pacs.process.heap import MAPPED_BYTES
from p2pacs.web.body import SendBody, body_sender

_PIECE: Final = MAPPED_BYTES - 64 * KIB
"""Bytes that are given to the HTTP library at once: where it copies them, the C library has memory
ready; of larger ones each copy would be mapped anew, and take ten times as long."""

_BUFFER: Final = 2 * MIB + 64 * KIB
"""Bytes of instances, four CT images with their headers, that are put together for a client at
once, in memory that its answer keeps from the first to the last: while one buffer is sent, the
other one is filled."""

_FIRST_BUFFER: Final = 256 * KIB
"""The same of the first one: a client has something to read while the second one is filled."""

_ALL_SENT: Final = b""
"""A piece of nothing: what follows is begun when all before it was sent."""

log = structlog.get_logger(__name__)


def offered_files(transfer_syntax_uid: str, *, is_one: bool) -> list[Representation]:
    """How an instance can be given: as it is stored, alone only where one is asked for."""
    parts = Representation(DICOM, transfer_syntax_uid, multipart=True)
    return [parts, Representation(DICOM, transfer_syntax_uid)] if is_one else [parts]


def etag(tag: str) -> str:
    """A weak one: the same instances may come in another order (RFC 9110 8.8.3)."""
    return f'W/"{tag}"'


class PiecesAnswer(Response):
    """An answer whose body is here, in pieces that need not be joined."""

    def __init__(self, pieces: Iterable[bytes], status: int, headers: Mapping[str, str]) -> None:
        super().__init__(status_code=status, headers=headers)
        self._pieces = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        await send(_start(self))
        if scope["method"] != "HEAD":
            send_body = body_sender(scope, send)
            for piece in self._pieces:
                await send_body(piece)
        await send({"type": "http.response.body"})


class HeldAnswer(Response):
    """An answer of which the pieces are read while it is sent; one that fails ends it."""

    def __init__(
        self,
        pieces: AsyncGenerator[bytes, None],
        held: AsyncExitStack,
        headers: Mapping[str, str],
    ) -> None:
        """Without a length: nobody knows it yet.

        Args:
            pieces: of the body.
            held: what they are read from, closed at the end.
            headers: of the answer.
        """
        super().__init__(headers=headers)
        del self.headers["content-length"]
        self._pieces = pieces
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer.

        Raises:
            P2PacsError: why the rest cannot be read; then there is no end of the body.
        """
        with single_error():
            async with self._held, trio.open_nursery() as nursery:
                nursery.start_soon(_until_gone, receive, nursery.cancel_scope)
                await send(_start(self))
                if scope["method"] != "HEAD":
                    async with aclosing(self._pieces) as pieces:
                        async for piece in pieces:
                            body = {"type": "http.response.body", "body": piece, "more_body": True}
                            await send(body)
                await send({"type": "http.response.body"})
                nursery.cancel_scope.cancel()


class StreamedAnswer(Response):
    """An answer out of what is read while it is sent, and closed at its end whatever happens."""

    def __init__(
        self, opened: OpenedResource, held: AsyncExitStack, tag: str | None, *, media_type: str
    ) -> None:
        super().__init__(media_type=media_type)
        del self.headers["content-length"]
        self._opened = opened
        self._held = held
        if tag is not None:
            self.headers["ETag"] = etag(tag)
            if opened.missing:
                self.status_code = 206
                why = f"The PACS did not give {opened.missing} instances: {opened.why}"
                self.headers["Warning"] = f'299 p2pacs "{plain(why)}"'

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        async with self._held, trio.open_nursery() as nursery:
            nursery.start_soon(_until_gone, receive, nursery.cancel_scope)
            await send(_start(self))
            if scope["method"] == "HEAD" or await self._send_all(body_sender(scope, send)):
                await send({"type": "http.response.body"})
            elif scope.get("http_version", "").startswith("2"):
                await send({"type": "http.response.body"})  # without the closing delimiter
            nursery.cancel_scope.cancel()

    async def _send_all(self, send: SendBody) -> bool:
        """Send the body; whether all of it came."""
        promised = self._opened.missing if self.status_code == 206 else 0
        try:
            with single_error():
                async with trio.open_nursery() as nursery:
                    ahead, made = trio.open_memory_channel[bytes | memoryview](0)
                    nursery.start_soon(self._make, ahead)
                    async for piece in made:
                        if piece:
                            await send(piece)
            if self._opened.missing > promised:
                log.warning("an answer was cut off", why="the PACS did not give all of it")
                return False
            for piece in self._closing():
                await send(piece)
        except P2PacsError as error:
            log.warning("an answer was cut off", why=str(error))
            return False
        return True

    async def _make(self, ahead: trio.MemorySendChannel[bytes | memoryview]) -> None:
        """Make each piece while the one before it is sent: a client that reads as fast as we send
        else waits for a third of the time."""
        async with ahead, aclosing(self._pieces()) as pieces:
            async for piece in pieces:
                await ahead.send(piece)

    def _pieces(self) -> AsyncGenerator[bytes | memoryview, None]:
        """The body, but for its `_closing`; each piece until the next but one is asked for, which
        is made before the next one is sent, but for what follows `_ALL_SENT`."""
        raise NotImplementedError

    def _closing(self) -> Sequence[bytes]:
        """What only a whole answer ends with."""
        return ()


class InstanceAnswer(StreamedAnswer):
    """One instance as a DICOM file."""

    def __init__(
        self,
        opened: OpenedResource,
        held: AsyncExitStack,
        tag: str | None,
        *,
        instances: AsyncGenerator[Sequence[InstanceData], None],
        outline: InstanceOutline,
        first: bytes,
        others: AsyncGenerator[bytes, None],
    ) -> None:
        """Nothing is sent yet.

        Args:
            opened: what it is of.
            held: what it is read from, closed at the end.
            tag: of what was asked for.
            instances: told when it was taken.
            outline: which instance it is.
            first: the first piece of its data set ...
            others: ... and those that follow.
        """
        super().__init__(opened, held, tag, media_type=content_type(outline.transfer_syntax_uid))
        self._head = meta(outline)
        self._first = first
        self._others = others
        self._instances = instances
        self.headers["Content-Length"] = str(len(self._head) + outline.size)

    async def _pieces(self) -> AsyncGenerator[bytes | memoryview, None]:
        yield self._head
        for piece in pieces_of(self._first):
            yield piece
        async for data in self._others:
            for piece in pieces_of(data):
                yield piece
        yield _ALL_SENT
        await anext(self._instances, None)  # it was taken


class MultipartAnswer(StreamedAnswer):
    """A part for each instance (PS3.18 8.6.1.2)."""

    def __init__(
        self,
        opened: OpenedResource,
        held: AsyncExitStack,
        tag: str | None,
        *,
        first: Sequence[InstanceData],
        others: AsyncGenerator[Sequence[InstanceData], None],
        accept: Accept,
    ) -> None:
        """Where all of it is known, its length is told: then the HTTP library need not frame, and
        for that copy, what it sends."""
        seed = f"{first[0].outline.sop_instance_uid} {tag} {trio.current_time()}"
        self._boundary = boundary_for(seed)
        self._heads = FileHeads(self._boundary)
        super().__init__(opened, held, tag, media_type=related(DICOM, self._boundary))
        self._first = first
        self._others = others
        self._accept = accept
        self._accepted = set[str]()
        self._left: int | None = None
        """Bytes of parts that were promised and not sent yet."""
        if tag is not None and (outline := opened.outline) is not None:
            self._left = self._heads.parts_bytes(outline)
            self.headers["Content-Length"] = str(self._left + len(closing(self._boundary)))

    async def _pieces(self) -> AsyncGenerator[bytes | memoryview, None]:
        some: Sequence[InstanceData] | None = self._first
        # Not bytearrays: these are zeroed whole, 3 ms before the first byte.
        buffer, other = memoryview(mmap(-1, _BUFFER)), memoryview(mmap(-1, _BUFFER))
        used, room = 0, _FIRST_BUFFER
        while some is not None:
            for instance in some:
                outline = instance.outline
                head = self._head(outline)
                size = len(head) + outline.size
                if used and used + size > room:
                    yield buffer[:used]
                    buffer, other, used, room = other, buffer, 0, _BUFFER
                if size > _BUFFER:
                    yield head
                    async with aclosing(instance.pieces()) as datas:
                        async for data in datas:
                            for piece in pieces_of(data):
                                yield piece
                    continue
                begin, used = used + len(head), used + size
                buffer[begin - len(head) : begin] = head
                await instance.read_into(buffer[begin:used])
            if used:
                yield buffer[:used]
                buffer, other, used = other, buffer, 0
            yield _ALL_SENT  # these were taken when the next are asked for
            some = await anext(self._others, None)
        if self._left:
            raise UnavailableError("less of it came than there was")

    def _head(self, of: InstanceOutline) -> bytes:
        """What stands before the data set of an instance.

        Raises:
            NotAcceptableError: the client does not take it.
            UnavailableError: there is more than was promised.
        """
        syntax = of.transfer_syntax_uid
        if syntax not in self._accepted:
            self._accept.choose(offered_files(syntax, is_one=True))
            self._accepted.add(syntax)
        head = self._heads.of(of)
        if self._left is not None:
            self._left -= len(head) + of.size
            if self._left < 0:
                raise UnavailableError("more of it came while it was sent")
        return head

    def _closing(self) -> Sequence[bytes]:
        return (closing(self._boundary),)


class MetadataAnswer(StreamedAnswer):
    """An array of objects (PS3.18 F.2)."""

    def __init__(
        self,
        opened: OpenedResource,
        held: AsyncExitStack,
        tag: str | None,
        *,
        first: Sequence[InstanceText],
        others: AsyncGenerator[Sequence[InstanceText], None],
        root: str,
        media_type: str,
    ) -> None:
        super().__init__(opened, held, tag, media_type=media_type)
        self._first = first
        self._others = others
        self._root = root

    async def _pieces(self) -> AsyncGenerator[bytes | memoryview, None]:
        texts: Sequence[InstanceText] | None = self._first
        before = b"["
        while texts is not None:
            yield before + b",".join(text.under(self._root) for text in texts)
            yield _ALL_SENT
            before = b","
            texts = await anext(self._others, None)

    def _closing(self) -> Sequence[bytes]:
        return (b"]",)


def pieces_of(data: bytes) -> list[memoryview]:
    """Data in pieces that a connection takes one after the other."""
    view = memoryview(data)
    return [view[at : at + _PIECE] for at in range(0, len(data), _PIECE)]


def plain(text: str) -> str:
    """A text as it may stand in quotation marks in a header."""
    return "".join(
        char if char.isascii() and char.isprintable() and char not in '"\\' else "?"
        for char in text
    )


def _start(answer: Response) -> Message:
    return {
        "type": "http.response.start",
        "status": answer.status_code,
        "headers": answer.raw_headers,
    }


async def _until_gone(receive: Receive, scope: trio.CancelScope) -> None:
    """The client went away: nothing more is read for it."""
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()
