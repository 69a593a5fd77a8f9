"""Search (QIDO-RS): from an HTTP request to its answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

import trio
from pydicom.datadict import keyword_for_tag
from starlette.requests import Request
from starlette.responses import Response

from p2pacs.dicomweb.server.backend import DicomwebBackend, Resource, SearchPage
from p2pacs.dicomweb.server.fields import answer, asked
from p2pacs.dicomweb.server.query import UNIQUE, SearchQuery
from p2pacs.dicomweb.server.requests import caller_of, root_of

DICOM_JSON: Final = "application/dicom+json"
JSON: Final = "application/json"

_MORE: Final = (
    "The number of results exceeded the maximum supported by the server. Additional results can be"
    " requested."
)
"""The words of PS3.18 8.3.4.4."""


class SearchHandler:
    """Answers searches at one level."""

    def __init__(self, backend: DicomwebBackend, level: str) -> None:
        self._backend = backend
        self._level = level

    async def __call__(self, request: Request) -> Response:
        """Answer one.

        Raises:
            UsageError: the query is not understood.
            P2PacsError: why it cannot be answered.
        """
        query = SearchQuery.parse(
            self._level, _named(request.path_params), request.scope["query_string"]
        )
        found = await self._backend.search(query, caller_of(request))
        body = await trio.to_thread.run_sync(_body, found, query, root_of(request))
        response = Response(body, media_type=DICOM_JSON)
        for warning in _warnings(found, query):
            response.headers.append("Warning", f'299 p2pacs "{warning}"')
        return response


def _named(path: Mapping[str, str]) -> dict[str, str]:
    resource = Resource.of(path["study"], path.get("series")) if path else None
    pairs = (
        (UNIQUE["STUDY"], resource.study if resource else None),
        (UNIQUE["SERIES"], resource.series if resource else None),
    )
    return {key: uid for key, uid in pairs if uid is not None}


def _body(found: SearchPage, query: SearchQuery, root: str) -> bytes:
    tags = asked(query)
    answers = [answer(view, query, tags, root) for view in found.entities]
    return json.dumps(answers, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _warnings(found: SearchPage, query: SearchQuery) -> list[str]:
    said = list(query.warnings)
    if found.unmatched:
        names = sorted(keyword_for_tag(int(key, 16)) or key for key in found.unmatched)
        said.append(f"Not known of every result, so not matched there: {', '.join(names)}.")
    if found.more:
        said.append(_MORE)
    return said
