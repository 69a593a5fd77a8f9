"""What came here of which study from whom, told to the broker: for its pages of traffic."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping

import structlog
import trio
from attrs import frozen

from p2pacs.errors import MalformedMessageError, P2PacsError
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.limits import AUDIT_RECORDS
from p2pacs.wire.messages.messages import AuditReport
from p2pacs.wire.messages.received import HOUR, Received

log = structlog.get_logger(__name__)

ReceivedSums = Mapping[tuple[StudyId, VirtualAddress], int]
"""Bytes of a study from a member since they were taken the last time."""


def now() -> int:
    """Milliseconds since 1970 (UTC)."""
    return time.time_ns() // 1_000_000


@frozen
class TrafficTuning:
    """What `TrafficReports` goes by."""

    every: float = 60.0
    """Seconds between two reports: what was received since the last one is lost with the
    program, as it is a statistic and no audit."""
    waiting: int = 20_000
    """Sums by hour, study and member that wait while the broker is away: weeks of a busy hospital.
    The oldest go first."""


class TrafficReports:
    """Adds up what was received, and reports it."""

    def __init__(
        self,
        take: Callable[[], ReceivedSums],
        send: Callable[[AuditReport], Awaitable[object]],
        *,
        clock: Callable[[], int] = now,
        tuning: TrafficTuning | None = None,
    ) -> None:
        """Nothing is reported before `run`.

        Args:
            take: what was received since the last call.
            send: returns when the broker has counted a report.
            clock: milliseconds since 1970.
            tuning: how often, and how much.
        """
        self._take = take
        self._send = send
        self._clock = clock
        self._tuning = tuning or TrafficTuning()
        self._sums: OrderedDict[tuple[int, StudyId, VirtualAddress], int] = OrderedDict()
        self._report: list[Received] = []
        """Sent, and not confirmed: it is sent again as it was, so that it counts once."""
        self._serial = 0

    async def run(self) -> None:
        """Report until cancelled."""
        while True:
            await trio.sleep(self._tuning.every)
            self._collect()
            try:
                await self._send_all()
            except P2PacsError as error:
                log.debug("traffic waits for the broker", error=str(error))

    def _collect(self) -> None:
        hour = self._clock() // HOUR * HOUR
        for (study, giver), size in self._take().items():
            key = hour, study, giver
            self._sums[key] = self._sums.get(key, 0) + size
        while len(self._sums) > self._tuning.waiting:
            self._sums.popitem(last=False)

    async def _send_all(self) -> None:
        while self._report or self._sums:
            if not self._report:
                self._report = self._next()
            try:
                await self._send(AuditReport(0, [one.packed() for one in self._report]))
            except MalformedMessageError:  # the broker is of a version that knows no traffic
                self._sums.clear()
            self._report = []

    def _next(self) -> list[Received]:
        self._serial = max(self._serial + 1, self._clock())
        chosen = [
            self._sums.popitem(last=False) for _ in range(min(AUDIT_RECORDS, len(self._sums)))
        ]
        return [
            Received(hour, study, giver, size, self._serial)
            for (hour, study, giver), size in chosen
        ]
