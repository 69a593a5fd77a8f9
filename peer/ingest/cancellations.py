"""The broker is told of studies that somebody here cancelled: as soon as there is one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import structlog
import trio

from p2pacs.concurrency.signals import Pause
from p2pacs.errors import AccessError, P2PacsError, ProtocolError
from p2pacs.ids import StudyId
from p2pacs.wire.messages.messages import CancelNoted, CancelQuery
from peer.ingest.outgoing_parts import AskBroker
from peer.spool.records import SpooledStudy
from peer.spool.spool import Spool

log = structlog.get_logger(__name__)

ANSWER_SECONDS: Final = 20.0
"""For the broker to answer."""

RETRY_SECONDS: Final = 60.0
"""After something failed; over when a broker is linked again, or something else is cancelled."""


class Cancellations:
    """Tells the broker. `run` must be running."""

    def __init__(
        self,
        spool: Spool,
        ask_broker: AskBroker,
        withhold: Callable[[StudyId], None],
        came_too_late: Callable[[SpooledStudy], None],
    ) -> None:
        """Nobody is told before `run`.

        Args:
            spool: has the studies.
            ask_broker: asks a broker.
            withhold: gives nothing of a study to anybody any more. Not before the broker was told,
                if there is one: it wants the rest of the index, so that what is home can be
                published by itself.
            came_too_late: told of a study that is in the PACS all the same.
        """
        self._spool = spool
        self._ask_broker = ask_broker
        self._withhold = withhold
        self._came_too_late = came_too_late
        self._one = trio.Lock()
        self._pause = Pause()

    def look(self) -> None:
        """Something was cancelled, or a broker is there (again)."""
        self._pause.end()

    async def over(self, uid: str) -> None:
        """A study is sent again: a broker that was not told is not told any more. Returns when it
        is not being told, either: it would take that for the later word."""
        async with self._one:
            await trio.to_thread.run_sync(self._spool.index.cancellation_over, uid)

    async def run(self) -> None:
        """Tell until cancelled, beginning with what it was not told before."""
        while True:
            ended = self._pause.ended
            waiting = await trio.to_thread.run_sync(self._spool.index.list_cancellations)
            for uid in waiting:
                await self._tell(uid)
            await self._pause.wait(RETRY_SECONDS if waiting else float("inf"), ended)

    async def _tell(self, uid: str) -> None:
        try:
            is_told = await self._try(uid)
        finally:
            study = await trio.to_thread.run_sync(self._spool.index.study, uid)
            if study is not None and study.study is not None and study.cancelled is not None:
                self._withhold(study.study)
        if is_told and study is not None and study.cancelled is None and study.is_stored:
            self._came_too_late(study)

    async def _try(self, uid: str) -> bool:
        """Whether the broker was told."""
        async with self._one:
            listed = await trio.to_thread.run_sync(self._spool.index.list_cancellations)
            if uid not in listed:  # it is sent again
                return False
            try:
                query = CancelQuery(0, uid, listed[uid])
                reply = await self._ask_broker(query, timeout=ANSWER_SECONDS)
                if not isinstance(reply, CancelNoted):
                    raise ProtocolError("the broker answered a CancelQuery with something else")
                await trio.to_thread.run_sync(self._noted, uid, reply.stored)
            except AccessError as error:
                log.warning("a cancellation does not concern the broker", why=str(error))
                await trio.to_thread.run_sync(self._spool.index.cancellation_over, uid)
                return False
            except P2PacsError as error:
                log.info("the broker is not told of a cancellation yet", why=str(error))
                return False
        return True

    def _noted(self, uid: str, stored: int) -> None:
        """The broker waits for nothing more; what is in the PACS is safe."""
        study = self._spool.index.study(uid)
        self._spool.index.cancellation_over(uid)
        if study is None or not 0 < study.version <= stored:
            return
        self._spool.home(uid, study.published)
        if study.newest <= study.published:
            self._spool.index.retry(uid)
