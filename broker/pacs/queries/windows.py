"""Enumerating studies by windows of dates, so that limits on answers do no harm.

A PACS may cut its answers off, with or without saying so. So the windows adapt: one
whose answer may be cut is asked again in halves; one that gives few answers is followed
by a longer one. A single day with too many is split further (`broker.pacs.queries.days`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import date, timedelta
from typing import Final

from attrs import evolve

from broker.pacs.adapter import DateSpan, Found
from broker.pacs.queries.days import AskWindow, DaySplit, Window
from broker.pacs.queries.patients import merged
from p2pacs.dataset.json_model import Json, text

SMALL: Final = 10_000
"""Up to this many studies, one query for all is bearable: it finds those without a date, and those
that the PACS shows with one but does not find by it."""

FEW: Final = 50
"""A window with fewer answers is followed by one of twice as many days."""

LEAST: Final = 10
"""No PACS is known to give fewer answers than that where it has more."""

_FIRST_DAY: Final = date(1900, 1, 1)
_DAY: Final = timedelta(days=1)
_LONGEST: Final = 36_525
"""Days of a window at most: a century."""


class Longest:
    """Marks answers that no earlier one exceeds: whatever a PACS's limit is, such an answer may
    have been cut off by it, and a shorter one was not."""

    def __init__(self, ask: AskWindow) -> None:
        self._ask = ask
        self._most = LEAST

    async def __call__(self, window: Window) -> Found:
        """One query."""
        found = await self._ask(window)
        count = len(found.usable) + found.untold
        is_longest, self._most = count >= self._most, max(count, self._most)
        return evolve(found, is_longest=is_longest)


async def by_windows(
    ask: AskWindow, span: DateSpan, today: date, incomplete: Callable[[], None]
) -> AsyncIterator[Json]:
    """All studies of these days, the newest first, each once.

    Args:
        ask: one query.
        span: which days.
        today: where to begin if the span has no end; one day ahead is looked at, too.
        incomplete: told, at most once a query, that the PACS has more than it gives.
    """
    first, newest = span.first or _FIRST_DAY, span.last or today + _DAY
    found: set[str] = set()
    last, days = newest, 1
    ask = Longest(ask)
    split = DaySplit(ask, incomplete)
    if span.last is None:
        for study in merged(await split.all(Window(f"{newest + _DAY:%Y%m%d}-"))):
            found.add(text(study, "StudyInstanceUID"))
            yield study
    while last >= first:
        low = max(first, last - (days - 1) * _DAY)
        answers = await ask(Window(_range(low, last)))
        if answers.may_be_cut and low < last:
            days = max(1, days // 2)
            continue
        studies = answers.usable
        if answers.may_be_cut:
            studies = await split.further(Window(_range(low, last)), answers)
        if len(found) <= SMALL:  # beyond it nothing more is done with them
            found.update(text(study, "StudyInstanceUID") for study in studies)
        for study in merged(studies):
            yield study
        if len(studies) < FEW:
            days = min(days * 2, _LONGEST)
        last = low - _DAY
    if span.first is None and span.last is None and len(found) <= SMALL:
        answers = await ask(Window())
        studies = answers.usable
        told = {text(one, "StudyInstanceUID") for one in studies}
        # Where all have a date and were found by it, the length of this answer says nothing.
        if answers.looks_cut or found - told or (answers.is_longest and told - found):
            studies = await split.further(Window(), answers)
        for study in merged(studies):
            # Not by its date: one whose first instance has none, but a later one has, is shown
            # with a date by Orthanc and yet not found by it.
            if text(study, "StudyInstanceUID") not in found:
                yield study


def _range(low: date, high: date) -> str:
    return f"{low:%Y%m%d}" if low == high else f"{low:%Y%m%d}-{high:%Y%m%d}"
