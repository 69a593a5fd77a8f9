"""Who looks at which study over DICOMweb: the right to, and what the audit tells of it.

A viewer asks for hundreds of frames and headers, one by one. All that one client reads of one
study so is one entry: it begins with the first request, and ends when nothing more is asked for.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

import trio
from attrs import define, field, frozen

from p2pacs.errors import P2PacsError
from peer.retrieval.audit import AuditedRead, ReadEnding, ReadOutcome
from peer.retrieval.instances.live_index import Known
from peer.retrieval.reader import StudyReads
from peer.retrieval.requester import Requester
from peer.retrieval.study_fetch import StudyFetch


@frozen
class ViewingTuning:
    """What `Viewings` goes by; seconds."""

    trusted: float = 60.0
    """After which the right to read is looked at again: a viewer asks for hundreds of frames."""

    idle: float = 120.0
    """Without a request, after which somebody has stopped reading a study."""

    told: float = 900.0
    """After which the audit has another entry of somebody who goes on reading a study: it is told
    at its end, so that must not be long in coming."""

    sweep: float = 15.0
    """Between two looks who has stopped."""

    remembered: int = 256
    """Studies and readers of which this is known."""


@define(eq=False)
class Viewing:
    """Somebody who looks at a study."""

    fetch: StudyFetch
    read: AuditedRead
    trusted_until: float
    told_until: float
    used_at: float
    under_way: int = 0
    """Requests at this moment."""
    asked: set[str] = field(factory=set, repr=False)
    """SOP Instance UIDs of what was asked for, ..."""
    given: set[str] = field(factory=set, repr=False)
    """... and of what was given."""

    broken: bool = False
    """Whether something could not be given."""

    def begun(self, known: Known) -> None:
        """Something of an instance is read for a client, ..."""
        self.asked.add(known.entry.sop_instance_uid)

    def arrived(self, known: Known) -> None:
        """... and was given to it."""
        self.given.add(known.entry.sop_instance_uid)

    def ended(self, short: int, error: P2PacsError | None) -> None:
        """That was all of one request, or why there is no more."""
        self.broken |= bool(short) or error is not None

    @contextmanager
    def giving(self, known: Known) -> Iterator[None]:
        """While something of an instance is read; it is given if nothing is raised."""
        self.begun(known)
        try:
            yield
        except P2PacsError as error:
            self.ended(0, error)
            raise
        self.arrived(known)

    @contextmanager
    def in_use(self) -> Iterator[Self]:
        """While a request is answered: the study is neither recycled nor given up."""
        self.under_way += 1
        try:
            with self.fetch.in_use():
                yield self
        finally:
            self.under_way -= 1
            self.used_at = trio.current_time()

    @property
    def ending(self) -> ReadEnding:
        """What became of it: done if all that was asked for was given."""
        if self.given >= self.asked:
            outcome = ReadOutcome.DONE
        else:
            outcome = ReadOutcome.FAILED if self.broken else ReadOutcome.INTERRUPTED
        return ReadEnding(outcome, len(self.given), len(self.asked))


class Viewings:
    """Everybody who looks at something."""

    def __init__(self, reads: StudyReads, tuning: ViewingTuning | None = None) -> None:
        self._reads = reads
        self._tuning = tuning or ViewingTuning()
        self._open: OrderedDict[tuple[str, str], Viewing] = OrderedDict()
        self._beginning: dict[tuple[str, str], trio.Lock] = {}

    async def run(self) -> None:
        """End what nobody goes on with, until cancelled; then all."""
        try:
            while True:
                await trio.sleep(self._tuning.sweep)
                self._end_idle()
        finally:
            for key in list(self._open):
                self._end(key)

    async def open(self, study_instance_uid: str, requester: Requester) -> Viewing:
        """Begin to look at a study, or go on.

        Raises:
            P2PacsError: as `StudyReads.open`.
        """
        key = study_instance_uid, requester.caller
        lock = self._beginning.setdefault(key, trio.Lock())
        try:
            async with lock:  # viewers begin with several requests at once: they are one reader
                return await self._opened(key, requester)
        finally:
            if not lock.statistics().tasks_waiting and not lock.locked():
                self._beginning.pop(key, None)

    async def _opened(self, key: tuple[str, str], requester: Requester) -> Viewing:
        now, viewing = trio.current_time(), self._open.get(key)
        if viewing is not None and now >= viewing.told_until and not viewing.under_way:
            self._end(key)
            viewing = None
        if viewing is None:
            fetch, read = await self._reads.open_audited(key[0], requester)
            until = now + self._tuning.told
            viewing = Viewing(fetch, read, now + self._tuning.trusted, until, now)
            self._open[key] = viewing
            self._forget()
        elif now >= viewing.trusted_until or not self._is_read(viewing.fetch):
            viewing.fetch = await self._reads.resume(viewing.fetch.study, requester)
            viewing.trusted_until = now + self._tuning.trusted
        viewing.used_at = now
        self._open.move_to_end(key)
        return viewing

    def _is_read(self, fetch: StudyFetch) -> bool:
        """Whether it is read still: it may have been recycled, or given up, meanwhile."""
        return not fetch.given_up and self._reads.has(fetch)

    def _forget(self) -> None:
        """What was used least lately, if there are too many; not what is in use."""
        spare = [key for key, viewing in self._open.items() if not viewing.under_way]
        for key in spare[: max(0, len(self._open) - self._tuning.remembered)]:
            self._end(key)

    def _end_idle(self) -> None:
        before = trio.current_time() - self._tuning.idle
        for key, viewing in list(self._open.items()):
            if viewing.used_at <= before and not viewing.under_way:
                self._end(key)

    def _end(self, key: tuple[str, str]) -> None:
        viewing = self._open.pop(key)
        self._reads.end(viewing.read, viewing.ending)
