"""What open pages show of the studies that are sent from here, read now and then."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

import structlog
import trio

from p2pacs.errors import P2PacsError
from p2pacs.output.json_object import JsonObject
from peer.ingest.outgoing_desk import OutgoingDesk
from peer.ingest.outgoing_state import OutgoingStudy
from peer.pages.live.sent_words import attention_words, sent_words

log = structlog.get_logger(__name__)

SENT: Final = "sent"
"""The topic of all; that of one is ``sent-`` with its number."""

SHOWN: Final = 100
"""Studies on a page."""

EVERY: Final = 1.0
"""Seconds between two readings of the spool's index."""


class SentState:
    """The studies of one peer; None that could be sent: it says so of none."""

    def __init__(self, desk: OutgoingDesk | None) -> None:
        self._desk = desk
        self._shown: Sequence[OutgoingStudy] = ()
        self._next = -1.0

    async def prepare(self) -> None:
        """Read how they are, unless that was just done."""
        if self._desk is None or trio.current_time() < self._next:
            return
        self._next = trio.current_time() + EVERY
        try:
            self._shown = (await self._desk.list_studies(SHOWN))[:SHOWN]
        except P2PacsError as error:
            log.warning("how far studies are that are sent is not known", error=str(error))

    @property
    def moving(self) -> bool:
        """Whether it will soon be other."""
        return any(one.can_cancel for one in self._shown)

    def look(self) -> dict[str, JsonObject]:
        """How all of them are, by topic."""
        now = time.time()
        state = {f"{SENT}-{one.number}": sent_words(one, now) for one in self._shown}
        state[SENT] = {
            "shown": [one.number for one in self._shown],
            "attention": attention_words(self._shown),
        }
        return state
