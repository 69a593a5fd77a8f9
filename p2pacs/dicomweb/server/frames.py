"""Frames (WADO-RS): from an HTTP request to its answer, as stored."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack
from typing import Final

from attrs import field, frozen
from starlette.requests import Request
from starlette.responses import Response

from p2pacs.dataset.header import EXPLICIT
from p2pacs.dicomweb import ranges
from p2pacs.dicomweb.accept import Representation
from p2pacs.dicomweb.media_types import (
    MEDIA_TYPES,
    NATIVE,
    OCTETS,
    PROGRESSIVE,
    bulk_syntax,
    is_video,
)
from p2pacs.dicomweb.multipart_writer import boundary_for, closing, part_head, related
from p2pacs.dicomweb.server.backend import DicomwebBackend, FrameSource
from p2pacs.dicomweb.server.requests import accept_of, caller_of, resource_of, root_of
from p2pacs.dicomweb.server.streamed import HeldAnswer, PiecesAnswer
from p2pacs.errors import NotAcceptableError, NotFoundError, UsageError
from p2pacs.limits import FRAME_LIST, RANGED_BYTES
from p2pacs.transcode.syntaxes import coding_of

_NUMBER: Final = re.compile(r"[1-9][0-9]{0,8}")


def parse_frames(text: str) -> list[int]:
    """The list of frames in a path, from 1.

    Raises:
        UsageError: it is none, or too long.
    """
    parts = text.split(",", FRAME_LIST)
    if len(parts) > FRAME_LIST or not all(_NUMBER.fullmatch(part) for part in parts):
        raise UsageError(f"frames are at most {FRAME_LIST} numbers from 1, with commas: 1,2,3")
    return [int(part) for part in parts]


def offered(transfer_syntax: str, count: int) -> list[Representation]:
    """How so many frames of an instance can be given, the most natural way first.

    Args:
        transfer_syntax: in which the instance is stored.
        count: of frames: one alone need not be in multipart.
    """
    if is_video(transfer_syntax):
        raise NotAcceptableError("a video has no frames that could be taken out: retrieve it whole")
    if transfer_syntax in NATIVE:
        kinds = [Representation(OCTETS, EXPLICIT, multipart=True)]
    else:
        kinds = [Representation(OCTETS, transfer_syntax, multipart=True, usual=False)]
        if (own := MEDIA_TYPES.get(transfer_syntax)) is not None:
            kinds.append(Representation(own, transfer_syntax, multipart=True))
        if coding_of(transfer_syntax) is not None:
            kinds.append(Representation(OCTETS, EXPLICIT, multipart=True))
    if transfer_syntax in NATIVE or coding_of(transfer_syntax) is not None:
        made = (MEDIA_TYPES[PROGRESSIVE], OCTETS)
        there = {(one.media_type, one.transfer_syntax) for one in kinds}
        kinds += [
            Representation(media_type, PROGRESSIVE, multipart=True, usual=media_type != OCTETS)
            for media_type in made
            if (media_type, PROGRESSIVE) not in there
        ]
    if count > 1:
        return kinds
    return kinds + [
        Representation(one.media_type, one.transfer_syntax, usual=one.usual) for one in kinds
    ]


class Frames:
    """Answers requests for frames."""

    def __init__(self, backend: DicomwebBackend) -> None:
        self._backend = backend

    async def __call__(self, request: Request) -> Response:
        """Answer one; of what is on its way, as soon as its frames are here.

        Raises:
            UsageError: the request is not understood.
            P2PacsError: as `answer`.
        """
        return await self.answer(request, parse_frames(request.path_params["frames"]))

    async def answer(self, request: Request, named: Sequence[int] | None) -> Response:
        """Answer a request for these frames, from 1; None: for all of the instance.

        Raises:
            UsageError: the request is not understood.
            NotAcceptableError: it takes nothing of what there is.
            P2PacsError: why it cannot be answered.
        """
        resource, accept = resource_of(request), accept_of(request)
        async with AsyncExitStack() as stack:
            opened = self._backend.frames(resource, caller_of(request))
            source = await stack.enter_async_context(opened)
            numbers = range(1, source.count + 1) if named is None else named
            if missing := [number for number in numbers if number > source.count]:
                raise NotFoundError(f"no frame {missing[0]}: there are {source.count}")
            way = accept.choose(offered(source.transfer_syntax, len(numbers)))
            etag = _etag(source, numbers, way)
            if ranges.is_same(request.headers.getlist("if-none-match"), etag):
                return Response(status_code=304, headers={"ETag": etag})
            read = _reader(source, way)
            root = f"{root_of(request)}{resource.path}/frames"
            if len(numbers) == 1:
                data = await read(numbers[0])
                return one_part(request, data, way, etag, f"{root}/{numbers[0]}")
            parts = FrameParts(numbers, read, way, lambda number: f"{root}/{number}")
            return await several_parts(request, parts, etag, stack)
        raise AssertionError  # the stack swallows nothing


def _reader(source: FrameSource, way: Representation) -> Callable[[int], Awaitable[bytes]]:
    if way.transfer_syntax == bulk_syntax(source.transfer_syntax):
        return source.read
    return source.progressive if way.transfer_syntax == PROGRESSIVE else source.decoded


@frozen
class FrameParts:
    """What is made of several frames, a part of the body for each."""

    numbers: Sequence[int]
    """Of the frames, from 1."""
    read: Callable[[int], Awaitable[bytes]]
    """Gives what is made of one."""
    way: Representation
    location: Callable[[int], str]
    """URL of it."""


async def several_parts(
    request: Request, parts: FrameParts, etag: str, held: AsyncExitStack
) -> Response:
    """Several frames, each as soon as it is here; or what is asked for of the whole body.

    Args:
        request: as it came.
        parts: what is given.
        etag: of the body.
        held: what frames are read from; it is taken where they are read later.

    Raises:
        P2PacsError: why the first one cannot be read, which still has a status of its own.
    """
    boundary = boundary_for(etag)

    def head(number: int, size: int) -> bytes:
        return part_head(boundary, parts.way.content_type, parts.location(number), size)

    if len(request.headers.getlist("range")) == 1:
        pieces = await _gathered(parts, head)
        if pieces is not None:  # else the range is passed over (RFC 9110 14.2)
            body = _Body((*pieces, closing(boundary)))
            return _ranged(request, body, related(parts.way.media_type, boundary), etag)
    first = await parts.read(parts.numbers[0])  # what fails at once has a status of its own
    streamed = _parts(parts.read, parts.numbers, first, head, closing(boundary))
    headers = {"ETag": etag, "Content-Type": related(parts.way.media_type, boundary)}
    return HeldAnswer(streamed, held.pop_all(), headers)


async def _gathered(
    parts: FrameParts, head: Callable[[int, int], bytes]
) -> tuple[bytes, ...] | None:
    """The body in memory, but for its end; None if it is too long for that."""
    pieces, size = list[bytes](), 0
    for number in parts.numbers:
        data = await parts.read(number)
        size += len(data)
        if size > RANGED_BYTES:
            return None
        pieces += [head(number, len(data)), data]
    return tuple(pieces)


async def _parts(
    read: Callable[[int], Awaitable[bytes]],
    numbers: Sequence[int],
    first: bytes,
    head: Callable[[int, int], bytes],
    end: bytes,
) -> AsyncGenerator[bytes, None]:
    for place, number in enumerate(numbers):
        data = first if place == 0 else await read(number)
        yield head(number, len(data))
        yield data
    yield end


def _etag(source: FrameSource, numbers: Iterable[int], way: Representation) -> str:
    said = f"{source.digest.hex()} {','.join(map(str, numbers))} {way.multipart} {way.content_type}"
    return f'"{hashlib.sha256(said.encode()).hexdigest()[:32]}"'


@frozen
class _Body:
    """A body in pieces, of which parts are taken without joining it."""

    pieces: tuple[bytes, ...] = field(repr=False)

    def __len__(self) -> int:
        return sum(map(len, self.pieces))

    def cut(self, wanted: range) -> Iterator[bytes]:
        """So much of it."""
        at = 0
        for piece in self.pieces:
            first, end = max(0, wanted.start - at), min(len(piece), wanted.stop - at)
            if first < end:
                yield piece[first:end]
            at += len(piece)


def one_part(
    request: Request, data: bytes, way: Representation, etag: str, location: str
) -> Response:
    """One thing, or what is asked for of it; ranges count over the body that there is without."""
    boundary, content_type, body = boundary_for(etag), way.content_type, _Body((data,))
    if way.multipart:
        content_type = related(way.media_type, boundary)
        head = part_head(boundary, way.content_type, location, len(data))
        body = _Body((head, data, closing(boundary)))
    response = _ranged(request, body, content_type, etag)
    if not way.multipart:
        response.headers["Content-Location"] = location
    return response


def _ranged(request: Request, body: _Body, content_type: str, etag: str) -> Response:
    """A body, or what is asked for of it."""
    answer = ranges.answer(
        len(body),
        content_type,
        etag,
        requested=request.headers.getlist("range"),
        if_range=request.headers.get("if-range", ""),
        boundary=boundary_for(boundary_for(etag)),
    )
    return PiecesAnswer(_cut(body, answer), answer.status, dict(answer.headers))


def _cut(body: _Body, answer: ranges.PartialAnswer) -> Iterator[bytes]:
    for piece in answer.pieces:
        yield from body.cut(piece) if isinstance(piece, range) else (piece,)
