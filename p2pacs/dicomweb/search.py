"""Answers to a search (QIDO-RS) page by page, whatever a server does about pages (PS3.18 8.3.4)."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final, Protocol
from urllib.parse import quote

from attrs import frozen

from p2pacs import limits
from p2pacs.errors import PacsRefusedError

Entity = dict[str, object]
"""An answer to a search, not yet believed (`p2pacs.dataset.json_model.understood`)."""

_LEGIBLE: Final = "*?^,:;=@/\\\\$!'()~"
"""Characters that stay as they are in a query: Orthanc 1.10 does not decode what it matches."""

MORE: Final = re.compile("additional|exceed|maximum", re.IGNORECASE)
"""In a warning of that code; others of it are about matching, not about what is left out."""


@frozen
class SearchTuning:
    """Sizes of a client."""

    page: int = 200
    """Answers asked for at once."""
    page_bytes: int = 32 * limits.MIB
    """One page of answers: 200 with every attribute asked for need 1 MiB."""
    failures: int = 64
    """Requests of one search that may fail: some eight for each entity that cannot be told."""
    big_bytes: int = 4 * limits.MIB
    """From here on, copying an instance would hold up the trio loop for milliseconds."""


@frozen
class Page:
    """One answer to a search."""

    entities: list[Entity]
    more: bool = False
    """The server says that it has more than it gave (Warning 299, PS3.18 8.3.4.4)."""
    failed: bool = False
    """HTTP status 500: something in this page cannot be told."""


class PageSource(Protocol):
    """Whom a search asks (`p2pacs.dicomweb.client.DicomwebClient`)."""

    @property
    def name(self) -> str:
        """What errors call it."""

    @property
    def tuning(self) -> SearchTuning:
        """Its sizes."""

    async def page(self, path: str) -> Page:
        """One answer to a search."""

    async def probe(self) -> None:
        """Raises if the server fails at everything."""


class Search:
    """The answers to a search, page by page as they are iterated over; once.

    A page that the server fails to answer (Orthanc does, if one file is lost) is asked for in
    halves, so that one bad entity hides no other.
    """

    def __init__(
        self, client: PageSource, path: str, query: Mapping[str, str], fields: Sequence[str]
    ) -> None:
        self._client = client
        self._path = path
        self._parameters = [*query.items(), *(("includefield", field) for field in fields)]
        self._failures = 0
        self.untold = 0
        """Entities that the server could not tell; known after the last one."""
        self.is_cut = False
        """Whether the server said that it has more than it gives; known after the last one."""

    async def __aiter__(self) -> AsyncIterator[Entity]:
        before: list[Entity | None] = []
        offset, size = 0, self._client.tuning.page
        while True:
            page, self.is_cut = await self._pages(offset, size)
            if page == before:  # a server that does not know paging gives all at once, for ever
                return
            for entity in page:
                if entity is not None:
                    yield entity
            if not page or (len(page) < size and not self.is_cut):
                return
            before, offset = page, offset + len(page)

    async def _pages(self, offset: int, limit: int) -> tuple[list[Entity | None], bool]:
        """Entities from ``offset`` on, None for each that cannot be told; whether there are more.

        Raises:
            PacsRefusedError: the server fails whatever it is asked.
        """
        page = await self._client.page(self._url(offset, limit))
        if not page.failed:
            return list(page.entities), page.more
        self._failures += 1
        if self._failures == 1:
            await self._client.probe()
        if self._failures > self._client.tuning.failures:
            raise PacsRefusedError(
                f"{self._client.name} fails at too many entries (HTTP 500): see its log"
            )
        if limit == 1:
            self.untold += 1
            return [None], False
        half = limit // 2
        first, is_cut = await self._pages(offset, half)
        if len(first) < half:
            return first, is_cut
        second, is_cut = await self._pages(offset + half, limit - half)
        return first + second, is_cut

    def _url(self, offset: int, limit: int) -> str:
        paging = [("limit", str(limit)), ("offset", str(offset))]
        text = "&".join(
            f"{key}={quote(value, safe=_LEGIBLE)}" for key, value in (*self._parameters, *paging)
        )
        return f"{self._path}?{text}"
