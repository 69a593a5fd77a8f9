"""A replica fetches what the broker tells it to, and keeps at it until it has it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import structlog
import trio
from attrs import frozen
from sqlalchemy import delete, select
from sqlalchemy.dialects.sqlite import insert

from p2pacs.concurrency.signals import Pause
from p2pacs.errors import AccessError, DiskFullError, NotFoundError, P2PacsError
from p2pacs.ids import StudyId
from p2pacs.swarm.download.transfer import Transfer
from peer.db import PeerDatabase, replications
from peer.retrieval.sources.resolve import ResolvedStudy

WAITING: Final = 10_000
"""Orders that wait at most; the broker repeats what is lost beyond."""

log = structlog.get_logger(__name__)


@frozen
class ReplicaTuning:
    """How orders are carried out."""

    at_once: int = 4
    """Studies fetched at the same time."""
    retry_seconds: float = 60.0
    """After this long a study that could not be fetched is tried again."""


class ReplicaSync:
    """Orders to replicate are on disk until they are done."""

    def __init__(
        self,
        database: PeerDatabase,
        find: Callable[[StudyId], Awaitable[ResolvedStudy]],
        start: Callable[[ResolvedStudy], Transfer],
        make_room: Callable[[int], Awaitable[bool]],
    ) -> None:
        """A replica that does nothing until `run`.

        Args:
            database: keeps the orders.
            find: says who has a study.
            start: fetches it.
            make_room: recycles so many bytes; whether they came free.
        """
        self.tuning = ReplicaTuning()
        """What it goes by."""
        self._database = database
        self._find = find
        self._start = start
        self._make_room = make_room
        self._send, self._receive = trio.open_memory_channel[StudyId](WAITING)
        self._pause = Pause()
        self._under_way: set[StudyId] = set()
        self._again: set[StudyId] = set()

    def wake(self) -> None:
        """The broker is there (again): orders that failed without it are tried now."""
        self._pause.end()

    def order(self, study: StudyId) -> None:
        """The broker wants this study kept here."""
        try:
            self._send.send_nowait(study)
        except trio.WouldBlock:
            log.warning("too many orders to replicate", study=study.short)

    async def run(self) -> None:
        """Carry out the orders, those from before a restart first, for ever."""
        rows = await self._database.persist(lambda c: c.execute(select(replications)).all())
        places = trio.CapacityLimiter(self.tuning.at_once)
        async with trio.open_nursery() as nursery:
            for row in rows:
                nursery.start_soon(self._carry_out, StudyId(row.study), places)
            async for study in self._receive:
                await self._keep(study)
                nursery.start_soon(self._carry_out, study, places)

    async def _keep(self, study: StudyId) -> None:
        statement = insert(replications).values(study=study.raw).on_conflict_do_nothing()
        await self._database.persist(lambda connection: connection.execute(statement))

    async def _carry_out(self, study: StudyId, places: trio.CapacityLimiter) -> None:
        if study in self._under_way:
            self._again.add(study)
            return
        self._under_way.add(study)
        try:
            since = self._pause.ended
            while not await self._try(study, places):
                await self._pause.wait(self.tuning.retry_seconds, since)
                since = self._pause.ended
            statement = delete(replications).where(replications.c.study == study.raw)
            await self._database.persist(lambda connection: connection.execute(statement))
        finally:
            self._under_way.discard(study)
        if study in self._again:  # what was lost meanwhile may not have been missed any more
            self._again.discard(study)
            self.order(study)

    async def _try(self, study: StudyId, places: trio.CapacityLimiter) -> bool:
        """Fetch a study; whether the order is over."""
        try:
            async with places:
                transfer = self._start(await self._find(study))
                try:
                    await transfer.wait_complete()
                except DiskFullError:
                    if await self._make_room(transfer.bytes_total - transfer.bytes_held):
                        await self._start(await self._find(study)).wait_complete()
                    else:
                        raise
        except (NotFoundError, AccessError) as error:
            log.warning("order to replicate is void", study=study.short, error=str(error))
            return True
        except P2PacsError as error:
            log.info("not replicated yet", study=study.short, error=str(error))
            return False
        log.info("replicated", study=study.short)
        return True
