"""Fetches that somebody asked for and that are not at their end: taken up again after a restart.

They are in the peer's database from their beginning until they are complete, cancelled or
void, so that a peer that was killed goes on where it was.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Final

import structlog
import trio
from sqlalchemy import delete, select
from sqlalchemy.dialects.sqlite import insert

from p2pacs.errors import AccessError, NotFoundError, P2PacsError
from p2pacs.ids import StudyId
from p2pacs.swarm.priority import Priority
from p2pacs.swarm.transfer import State, Transfer
from peer.asker import Asker
from peer.db import Database, fetches
from peer.fetch import StudyFetch

RETRY: Final = 60.0
"""Seconds after which a fetch that failed is begun again."""

PATIENCE: Final = 3 * 24 * 3600
"""Seconds after which nobody waits for a fetch any more."""

WAITING: Final = 1024
"""Fetches that wait to be noted down."""

log = structlog.get_logger(__name__)


class Unfinished:
    """The fetches under way, on disk."""

    def __init__(
        self, database: Database, resume: Callable[[StudyId, Asker], Awaitable[StudyFetch]]
    ) -> None:
        """Nothing happens before `run`.

        Args:
            database: where they are kept.
            resume: begins a fetch again for somebody who asked for it before.
        """
        self._database = database
        self._resume = resume
        self._send, self._receive = trio.open_memory_channel[tuple[StudyFetch, Asker]](WAITING)
        self._followed: set[StudyId] = set()
        self._one = trio.Lock()
        self._scope = trio.CancelScope()

    def asked(self, fetch: StudyFetch, asker: Asker) -> None:
        """Somebody asked for a study, which is being fetched now."""
        try:
            self._send.send_nowait((fetch, asker))
        except trio.WouldBlock:
            log.warning("too many fetches to note down", study=fetch.study.short)

    def close(self) -> None:
        """The peer stops: what ends from now on ends because of that, and goes on later."""
        self._scope.cancel()

    async def run(self) -> None:
        """Take up what was unfinished, and follow what is begun, until `close`."""
        rows = await self._database.run(lambda c: c.execute(select(fetches)).all())
        with self._scope:
            async with trio.open_nursery() as nursery:
                for row in rows:
                    study = StudyId(row.study)
                    asker = Asker(row.caller, row.purpose, Priority(row.priority), row.detail)
                    self._followed.add(study)
                    nursery.start_soon(self._follow, study, asker, None, row.asked)
                async for fetch, asker in self._receive:
                    if fetch.transfer.state is not State.COMPLETE:
                        await self._note(fetch, asker, nursery)

    async def _note(self, fetch: StudyFetch, asker: Asker, nursery: trio.Nursery) -> None:
        now = int(time.time())
        values = {
            "caller": asker.caller,
            "purpose": asker.purpose,
            "detail": asker.detail,
            "priority": int(asker.priority),
            "asked": now,
        }
        statement = (
            insert(fetches)
            .values(study=fetch.study.raw, **values)
            .on_conflict_do_update(index_elements=["study"], set_=values)
        )
        async with self._one:
            await self._database.run(lambda connection: connection.execute(statement))
            if fetch.study not in self._followed:
                self._followed.add(fetch.study)
                nursery.start_soon(self._follow, fetch.study, asker, fetch, now)

    async def _follow(
        self, study: StudyId, asker: Asker, fetch: StudyFetch | None, asked: int
    ) -> None:
        """Until a fetch is at its end; begun anew where nobody else would."""
        while True:
            if fetch is None or not await _at_end(fetch):
                try:
                    fetch = await self._resume(study, asker)
                    log.info("fetch taken up again", study=study.short)
                    continue
                except (NotFoundError, AccessError) as error:
                    log.warning("unfinished fetch is void", study=study.short, error=str(error))
                except P2PacsError as error:
                    log.info("cannot go on fetching yet", study=study.short, error=str(error))
                    if time.time() - asked <= PATIENCE:
                        await trio.sleep(RETRY)
                        continue
            async with self._one:
                if fetch is None or fetch.transfer.state is not State.FETCHING:
                    await self._forget(study)
                    return

    async def _forget(self, study: StudyId) -> None:
        statement = delete(fetches).where(fetches.c.study == study.raw)
        await self._database.run(lambda connection: connection.execute(statement))
        self._followed.discard(study)


async def _at_end(fetch: StudyFetch) -> bool:
    """Wait until a transfer ends; whether the fetch is over with it.

    One that failed is over if somebody was there to be told.
    """
    while True:
        transfer = fetch.transfer
        await _ended(transfer)
        if transfer.state is State.COMPLETE or fetch.given_up:
            return True
        told = fetch.users > 0
        await trio.sleep(RETRY)
        if fetch.transfer is transfer:
            return told


async def _ended(transfer: Transfer) -> None:
    await transfer.watch.until(lambda: transfer.state is not State.FETCHING)
