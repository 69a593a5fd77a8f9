"""The catalogue here follows the broker's feed, and stays as it is while the broker is away."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import structlog
import trio

from p2pacs.catalogue.catalogue_index import CatalogueIndex
from p2pacs.catalogue.feed import decode_entry
from p2pacs.concurrency.signals import Watch
from p2pacs.concurrency.until_possible import until_possible
from p2pacs.errors import P2PacsError, ProtocolError, UnavailableError
from p2pacs.wire.messages.messages import CataloguePage, CatalogueQuery

CHECK: Final = 300.0
"""Seconds after which the feed is asked even without news, should one have been lost."""

RETRY: Final = 15.0
"""Seconds after which a feed that could not be read is asked again."""

log = structlog.get_logger(__name__)

AskFeed = Callable[[CatalogueQuery], Awaitable[CataloguePage]]


class CatalogueFollower:
    """Reads the feed page by page into the index; a page is taken over whole or not at all."""

    def __init__(self, index: CatalogueIndex, ask: AskFeed) -> None:
        """A follower that does nothing until `run`.

        Args:
            index: what the feed is read into.
            ask: puts a query to the broker.
        """
        self._index = index
        self._ask = ask
        self._wake = trio.Event()
        self._wake.set()
        self._current_at: float | None = None
        self.pages = 0
        """How many pages of the feed were taken over."""
        self._watch = Watch()

    @property
    def age(self) -> float | None:
        """Seconds since the index was as new as the feed; None if not since the start."""
        return None if self._current_at is None else trio.current_time() - self._current_at

    def wake(self) -> None:
        """The broker is there, or its catalogue has grown."""
        self._wake.set()

    async def further(self, since: int) -> None:
        """Until more than so many pages were taken over."""
        await self._watch.until(lambda: self.pages > since)

    async def run(self) -> None:
        """Follow for ever."""
        pause = CHECK
        while True:
            with trio.move_on_after(pause):
                await self._wake.wait()
            self._wake = trio.Event()
            try:
                await self.catch_up()
                pause = CHECK
            except UnavailableError as error:
                log.debug("catalogue waits for the broker", error=str(error))
                pause = RETRY
            except P2PacsError as error:
                log.warning("catalogue not updated", error=str(error))
                pause = RETRY

    async def catch_up(self) -> None:
        """Read the feed to its end.

        Raises:
            UnavailableError: the broker is away; what was read so far stays.
            ProtocolError: a page that cannot be; nothing of it is kept.
        """
        more = True
        while more:
            since = await trio.to_thread.run_sync(lambda: self._index.position)
            page = await self._ask(CatalogueQuery(id=0, since=since))
            if page.more and page.until == since and not page.reset:
                raise ProtocolError("the broker's catalogue feed does not move on")
            apply = partial(trio.to_thread.run_sync, partial(_apply, self._index, page))
            await until_possible(apply, "the catalogue")
            self.pages += 1
            self._watch.changed()
            if page.reset:
                log.info("catalogue starts anew")
            more = page.more
        self._current_at = trio.current_time()


def _apply(index: CatalogueIndex, page: CataloguePage) -> None:
    entries = [decode_entry(raw) for raw in page.entries]
    index.apply(entries, page.until, reset=page.reset)
