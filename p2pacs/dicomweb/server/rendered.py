"""Pictures of instances and frames (WADO-RS, PS3.18 10.4): rendered, and thumbnails."""

from __future__ import annotations

import hashlib
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from p2pacs.dicomweb import ranges
from p2pacs.dicomweb.accept import Representation
from p2pacs.dicomweb.server.backend import DicomwebBackend, FrameSource
from p2pacs.dicomweb.server.frames import one_part, parse_frames
from p2pacs.dicomweb.server.requests import accept_of, caller_of, resource_of
from p2pacs.errors import NotFoundError, UsageError
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
        resource, way = resource_of(request), accept_of(request).choose(OFFERED)
        asked = {name: request.query_params.getlist(name) for name in request.query_params}
        options = RenderOptions.parse(asked, way.media_type, thumbnail=self._thumbnail)
        named = request.path_params.get("frames")
        numbers = [] if named is None else parse_frames(named)
        if len(numbers) > 1:
            raise UsageError("pictures are given one by one: name one frame")
        async with self._backend.frames(resource, caller_of(request)) as source:
            number = numbers[0] if numbers else self._usual(source)
            if number > source.count:
                raise NotFoundError(f"no frame {number}: there are {source.count}")
            etag = _etag(source, number, options, way)
            if ranges.is_same(request.headers.getlist("if-none-match"), etag):
                return Response(status_code=304, headers={"ETag": etag})
            data = await source.draw(number, options)
        return one_part(request, data, way, etag, str(request.url))

    def _usual(self, source: FrameSource) -> int:
        """The first frame; for a thumbnail the middle one, which shows more."""
        return (source.count + 1) // 2 if self._thumbnail else 1


def _etag(source: FrameSource, number: int, options: RenderOptions, way: Representation) -> str:
    said = f"{source.digest.hex()} {number} {options} {way.multipart}"
    return f'"{hashlib.sha256(said.encode()).hexdigest()[:32]}"'
