"""How full the store was, hour by hour: what its forecast is made from."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import structlog
import trio
from attrs import frozen
from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects.sqlite import insert

from p2pacs.errors import P2PacsError
from peer.db import PeerDatabase, store_use
from peer.pages.sources.storage import StoreUse

log = structlog.get_logger(__name__)


@frozen
class StorageNotesTuning:
    """What is noted."""

    every: float = 3600.0
    """Seconds between two notes."""

    kept: float = 30 * 24 * 3600.0
    """Seconds that one is kept: what was long ago says little of what comes."""


class StorageNotes:
    """The notes of one peer."""

    def __init__(
        self,
        database: PeerDatabase,
        used: Callable[[], int],
        *,
        now: Callable[[], float] = time.time,
        tuning: StorageNotesTuning | None = None,
    ) -> None:
        """Nothing is noted before `run`.

        Args:
            database: where they are.
            used: bytes in use now.
            now: seconds since 1970.
            tuning: how often.
        """
        self._database = database
        self._used = used
        self._now = now
        self._tuning = tuning or StorageNotesTuning()

    async def run(self) -> None:
        """Note it for ever."""
        while True:
            try:
                await self._database.run(partial(self._note, int(self._now()), self._used()))
            except P2PacsError as error:
                log.warning("how full the store is cannot be noted", error=str(error))
            await trio.sleep(self._tuning.every)

    def _note(self, now: int, used: int, connection: Connection) -> None:
        note = insert(store_use).values(time=now, used=used)
        connection.execute(note.on_conflict_do_nothing())
        old = store_use.c.time < now - self._tuning.kept
        connection.execute(delete(store_use).where(old))

    async def all(self) -> list[StoreUse]:
        """In the order of time."""
        query = select(store_use).order_by(store_use.c.time)
        rows = await self._database.run(lambda connection: connection.execute(query).all())
        return [StoreUse(float(row.time), row.used) for row in rows]
