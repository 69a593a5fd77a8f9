"""Leave to read that somebody was given lately: who retrieves a study over DICOMweb, and again, is
not kept waiting for the broker each time, as somebody who looks at it is not."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import structlog
import trio
from attrs import define, frozen

from p2pacs.catalogue.records import StudyRecord
from p2pacs.concurrency.tasks import Tasks
from p2pacs.errors import P2PacsError
from peer.retrieval.audit import AuditedRead
from peer.retrieval.reader import StudyReads
from peer.retrieval.requester import Requester
from peer.retrieval.study_fetch import StudyFetch

log = structlog.get_logger(__name__)


@frozen
class LeaveTuning:
    """What `Leaves` goes by; seconds."""

    trusted: float = 60.0
    """After which leave counts no more: as long as that of who looks at a study."""

    fresh: float = 5.0
    """After which it is asked for again beside the answer: so long the broker does not compare the
    study with the PACS anew, either."""

    remembered: int = 256
    """Studies and readers of which this is known."""


TUNING = LeaveTuning()


@define(eq=False)
class _Leave:
    fetch: StudyFetch
    asked: float
    """When it was asked for."""
    asking: bool = False


class Leaves:
    """Opens studies that are retrieved as a whole."""

    def __init__(self, reads: StudyReads, tuning: LeaveTuning = TUNING) -> None:
        self._reads = reads
        self._tuning = tuning
        self._given: OrderedDict[tuple[str, str], _Leave] = OrderedDict()
        self._tasks = Tasks()

    async def run(self) -> None:
        """Ask again beside answers, until cancelled."""
        await self._tasks.run()

    async def open_audited(
        self, study_instance_uid: str, requester: Requester, told: Callable[[StudyRecord], None]
    ) -> tuple[StudyFetch, AuditedRead]:
        """As `StudyReads.open_audited`. Who had leave just now, of a study all of which is here, is
        not kept waiting; that the catalogue still has the study for this peer, and that it is not
        revoked, is looked at each time, and the audit has an entry of each.

        Raises:
            P2PacsError: as there.
        """
        key, now = (study_instance_uid, requester.caller), trio.current_time()
        leave = self._given.get(key)
        if leave is not None and self._counts(leave, now):
            read = await self._reads.open_again(study_instance_uid, leave.fetch, requester, told)
            if not leave.asking and now - leave.asked >= self._tuning.fresh:
                self._ask_again(key, leave, requester)
            return leave.fetch, read
        self._given.pop(key, None)
        fetch, read = await self._reads.open_audited(study_instance_uid, requester, told)
        self._given[key] = _Leave(fetch, now)
        while len(self._given) > self._tuning.remembered:
            self._given.popitem(last=False)
        return fetch, read

    def _counts(self, leave: _Leave, now: float) -> bool:
        is_read = self._reads.has(leave.fetch) and not leave.fetch.given_up
        is_here = is_read and leave.fetch.is_all_here
        return is_here and now - leave.asked < self._tuning.trusted

    def _ask_again(self, key: tuple[str, str], leave: _Leave, requester: Requester) -> None:
        if self._tasks.running:
            leave.asking = True
            self._tasks.start(self._ask, key, leave, requester)

    async def _ask(self, key: tuple[str, str], leave: _Leave, requester: Requester) -> None:
        now = trio.current_time()
        try:
            await self._reads.resume(leave.fetch.study, requester)
        except P2PacsError as error:  # the next request asks, and is told
            log.debug("no leave any more", study=leave.fetch.study.short, why=str(error))
            if self._given.get(key) is leave:
                del self._given[key]
        else:
            leave.asked = now
        finally:
            leave.asking = False
