"""What open pages say of studies that were sent here and nobody has read: read now and then."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import structlog
import trio

from p2pacs.errors import P2PacsError
from p2pacs.output.json_object import JsonObject
from peer.pages.search.sender_words import unread_words
from peer.pages.search.sent_listing import SentListing
from peer.retrieval.sent_here import SentHere

log = structlog.get_logger(__name__)

RECEIVED: Final = "received"
"""The topic."""

EVERY: Final = 1.0
"""Seconds between two readings of the database."""


class ReceivedState:
    """Those of one peer."""

    def __init__(self, listing: SentListing) -> None:
        self._listing = listing
        self._unread: Sequence[SentHere] = ()
        self._next = -1.0

    async def prepare(self) -> None:
        """Read which they are, unless that was just done."""
        if trio.current_time() < self._next:
            return
        self._next = trio.current_time() + EVERY
        try:
            self._unread = await self._listing.unread()
        except P2PacsError as error:
            log.warning("what was sent here is not known", error=str(error))

    def look(self) -> dict[str, JsonObject]:
        """How many there are, by topic."""
        state = "some" if self._unread else "none"
        return {RECEIVED: {"state": state, "words": unread_words(self._unread)}}
