"""Pictures of instances and frames (WADO-RS, PS3.18 10.4): rendered, and thumbnails."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from p2pacs.dicomweb import ranges
from p2pacs.dicomweb.accept import Representation
from p2pacs.dicomweb.server.backend import DicomwebBackend, FrameSource
from p2pacs.dicomweb.server.frames import FrameParts, one_part, parse_frames, several_parts
from p2pacs.dicomweb.server.requests import accept_of, caller_of, resource_of, root_of
from p2pacs.errors import NotFoundError
from p2pacs.rendering.options import JPEG, PNG, RenderOptions

OFFERED: Final = tuple(
    Representation(media_type, multipart=multipart)
    for multipart in (False, True)
    for media_type in (JPEG, PNG)
)


class Rendered:
    """Answers requests for pictures."""

    def __init__(self, backend: DicomwebBackend, *, thumbnail: bool = False) -> None:
        self._backend = backend
        self._thumbnail = thumbnail

    async def __call__(self, request: Request) -> Response:
        """Answer one; of what is on its way, as soon as the frame is here.

        Raises:
            UsageError: the request is not understood.
            NotAcceptableError: it takes no picture, or there can be none.
            P2PacsError: why it cannot be answered.
        """
        named = request.path_params.get("frames")
        numbers = [] if named is None else parse_frames(named)
        offered = [one for one in OFFERED if one.multipart or len(numbers) < 2]
        resource, way = resource_of(request), accept_of(request).choose(offered)
        asked = {name: request.query_params.getlist(name) for name in request.query_params}
        options = RenderOptions.parse(asked, way.media_type, thumbnail=self._thumbnail)
        async with AsyncExitStack() as stack:
            opened = self._backend.frames(resource, caller_of(request))
            source = await stack.enter_async_context(opened)
            numbers = numbers or [self._usual(source)]
            if missing := [number for number in numbers if number > source.count]:
                raise NotFoundError(f"no frame {missing[0]}: there are {source.count}")
            etag = _etag(source, numbers, options, way)
            if ranges.is_same(request.headers.getlist("if-none-match"), etag):
                return Response(status_code=304, headers={"ETag": etag})
            if len(numbers) == 1:
                data = await source.draw(numbers[0], options)
                return one_part(request, data, way, etag, str(request.url))
            root = f"{root_of(request)}{resource.path}/frames"
            kind, query = request.url.path.rpartition("/")[2], request.url.query
            suffix = f"{kind}?{query}" if query else kind
            parts = FrameParts(
                numbers,
                partial(source.draw, options=options),
                way,
                lambda number: f"{root}/{number}/{suffix}",
            )
            return await several_parts(request, parts, etag, stack)
        raise AssertionError  # the stack swallows nothing

    def _usual(self, source: FrameSource) -> int:
        """The first frame; for a thumbnail the middle one, which shows more."""
        return (source.count + 1) // 2 if self._thumbnail else 1


def _etag(
    source: FrameSource, numbers: Sequence[int], options: RenderOptions, way: Representation
) -> str:
    said = f"{source.digest.hex()} {','.join(map(str, numbers))} {options} {way.multipart}"
    return f'"{hashlib.sha256(said.encode()).hexdigest()[:32]}"'
