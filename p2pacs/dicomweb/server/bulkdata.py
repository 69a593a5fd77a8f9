"""Bulk data (WADO-RS), which metadata name by a URI: from an HTTP request to its answer."""

from __future__ import annotations

import hashlib
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from p2pacs.dataset.bulk_data import is_pixel_data, parse_bulk_path
from p2pacs.dataset.header import EXPLICIT
from p2pacs.dicomweb import ranges
from p2pacs.dicomweb.accept import Representation
from p2pacs.dicomweb.media_types import OCTETS
from p2pacs.dicomweb.server.backend import DicomwebBackend
from p2pacs.dicomweb.server.frames import Frames, one_part
from p2pacs.dicomweb.server.requests import accept_of, caller_of, resource_of

OFFERED: Final = tuple(
    Representation(OCTETS, EXPLICIT, multipart=multipart) for multipart in (True, False)
)


class Bulkdata:
    """Answers requests for bulk data."""

    def __init__(self, backend: DicomwebBackend) -> None:
        self._backend = backend
        self._frames = Frames(backend)

    async def __call__(self, request: Request) -> Response:
        """Answer one: a value of the header; of pixel data all frames.

        Raises:
            UsageError: the request is not understood.
            NotAcceptableError: it takes nothing of what there is.
            P2PacsError: why it cannot be answered.
        """
        path = parse_bulk_path(request.path_params["path"])
        if is_pixel_data(path):
            return await self._frames.answer(request, None)
        way = accept_of(request).choose(OFFERED)
        value = await self._backend.bulk_data(resource_of(request), path, caller_of(request))
        digest = hashlib.sha256(value).hexdigest()[:32]
        etag = f'"{digest}{"m" if way.multipart else ""}"'
        if ranges.is_same(request.headers.getlist("if-none-match"), etag):
            return Response(status_code=304, headers={"ETag": etag})
        return one_part(request, value, way, etag, str(request.url.replace(query="")))
