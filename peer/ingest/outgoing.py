"""Studies in the spool are published, and followed until they are in the central PACS."""

from __future__ import annotations

import time
from functools import partial

import structlog
import trio
from attrs import define, field

from p2pacs.concurrency.signals import Pause
from p2pacs.concurrency.tasks import wait_any
from p2pacs.errors import ForbiddenError, LocalError, P2PacsError
from peer.ingest.cancellations import Cancellations
from peer.ingest.outgoing_parts import OutgoingParts, OutgoingTuning
from peer.ingest.outgoing_state import Attempt
from peer.ingest.publishing import SpoolPublisher
from peer.ingest.reports import ask_how_far
from peer.ingest.source import Arrivals, SpoolSource
from peer.spool.records import SpooledStudy
from peer.spool.spool import Spool

log = structlog.get_logger(__name__)


@define(eq=False)
class _Running:
    """A study that something is done for."""

    attempt: Attempt = field(factory=Attempt)
    scope: trio.CancelScope = field(factory=trio.CancelScope)
    ended: trio.Event = field(factory=trio.Event)


class OutgoingStudies:
    """Publishes what comes into the spool. `run` must be running."""

    def __init__(
        self,
        spool: Spool,
        arrivals: Arrivals,
        parts: OutgoingParts,
        tuning: OutgoingTuning,
    ) -> None:
        self._spool = spool
        self._arrivals = arrivals
        self._parts = parts
        self.tuning = tuning
        """Of what begins from now on."""
        self._cancellations = Cancellations(
            spool, parts.ask_broker, parts.withhold, self._came_too_late
        )
        self._publisher = SpoolPublisher(spool, arrivals, parts, self._cancellations, tuning)
        self._running: dict[str, _Running] = {}
        self._pause = Pause()

    def linked(self) -> None:
        """A broker is there (again): what failed is tried now."""
        self._pause.end()
        self._cancellations.look()
        self._parts.addressing.linked()

    @property
    def quiet(self) -> float:
        """Seconds without a further instance after which a study counts as sent in whole."""
        return self.tuning.quiet

    def attempt(self, uid: str) -> Attempt:
        """What is known of a study while something is done for it."""
        running = self._running.get(uid)
        return Attempt() if running is None else running.attempt

    def anew(self, study: SpooledStudy) -> None:
        """Look at a study again, now: something else is to be done for it."""
        if study.study is not None:
            self._parts.give(study.study)
        self._arrivals.look(study.uid)
        self._pause.end()

    async def stop(self, uid: str) -> None:
        """Publish nothing more of a study that was cancelled; returns when that is so. The broker
        is told, and then nothing of it is given to anybody."""
        if (running := self._running.get(uid)) is not None:
            running.scope.cancel()
            await running.ended.wait()
        self._parts.addressing.look(uid)
        self._cancellations.look()

    def _came_too_late(self, study: SpooledStudy) -> None:
        """What was cancelled is in the PACS all the same."""
        log.info("a study was in the PACS before it was cancelled", study=_short(study))
        self.anew(study)
        self._parts.addressing.look(study.uid)

    async def run(self) -> None:
        """Publish until cancelled, beginning with what was not published before."""
        fresh, running = self._arrivals.fresh, self._running
        studies = await trio.to_thread.run_sync(self._spool.index.list_studies)
        fresh.update(one.uid for one in studies if one.is_open)
        for one in studies:
            if one.cancelled is not None and one.study is not None:
                self._parts.withhold(one.study)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._cancellations.run)
            nursery.start_soon(self._forget_old)
            while True:
                for uid in fresh - running.keys():
                    running[uid] = _Running()
                    nursery.start_soon(self._work, uid)
                await self._arrivals.bell.wait()

    async def _forget_old(self) -> None:
        """The spool's index keeps no row for ever."""
        while True:
            before = int((time.time() - self.tuning.kept_days * 24 * 3600) * 1000)
            try:
                count = await trio.to_thread.run_sync(self._spool.index.forget_old, before)
                if count:
                    log.info("studies that were sent long ago are forgotten", count=count)
            except LocalError as error:
                log.warning("the spool's index is not tidied up", why=str(error))
            await trio.sleep(self.tuning.forget_seconds)

    async def _work(self, uid: str) -> None:
        """Publish and follow a study until nothing is left to do for it."""
        running = self._running[uid]
        try:
            with running.scope:
                await self._send(uid, running.attempt)
        finally:
            del self._running[uid]
            running.ended.set()
            self._arrivals.bell.ring()

    async def _send(self, uid: str, attempt: Attempt) -> None:
        looks = self.tuning.first_look_seconds
        while True:
            self._arrivals.fresh.discard(uid)
            seen, ended = self._arrivals.count(uid), self._pause.ended
            study = await trio.to_thread.run_sync(self._spool.index.study, uid)
            if study is None or not study.is_open:
                return
            try:
                if study.newest > study.published:
                    await self._publisher.publish(study, self.tuning, attempt)
                    looks = self.tuning.first_look_seconds
                elif not await self._follow(study, attempt):
                    attempt.succeeded()
                    await wait_any(
                        partial(self._pause.wait, looks, ended),
                        partial(self._arrivals.further, uid, seen),
                    )
                    looks = min(2 * looks, self.tuning.look_seconds)
            except ForbiddenError as error:
                log.error("a study may not be sent", why=str(error))  # noqa: TRY400
                await trio.to_thread.run_sync(self._spool.index.refuse, uid, str(error))
                return
            except P2PacsError as error:
                log.warning("a study is not sent yet", why=str(error))
                # What comes meanwhile is no reason to try again: a scanner sends hundreds.
                attempt.failed(str(error), time.time() + self.tuning.retry_seconds)
                await self._pause.wait(self.tuning.retry_seconds, ended)
                attempt.again = None

    async def _follow(self, study: SpooledStudy, attempt: Attempt) -> bool:
        """See how far a study is that was published; whether the PACS has it."""
        source = SpoolSource(self._spool, self._arrivals)
        noted = await ask_how_far(self._parts, source, study, self.tuning.answer_seconds)
        if noted is None:
            return False
        attempt.noted(noted)
        if noted.stored < study.version:
            return False
        log.info("a study that was sent is in the PACS", study=_short(study))
        await trio.to_thread.run_sync(self._spool.home, study.uid, study.published)
        return True


def _short(study: SpooledStudy) -> str:
    return "" if study.study is None else study.study.short
