"""Enumerating studies by windows of dates, so that limits on answers do no harm.

A PACS may cut its answers off without saying so. So the windows adapt: one that
gives `ENOUGH` answers or more is asked again in halves; a window that gives few
is followed by a longer one. A single day with too many is split by time.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import date, timedelta
from typing import Final

from broker.pacs.adapter import DateSpan
from p2pacs.dataset.json_model import Json, text

ENOUGH: Final = 200
"""Answers that look as if there might be more: the smallest limit known of a PACS."""

SMALL: Final = 10_000
"""Up to this many studies, one query for all is bearable: it finds those without a date, and those
that the PACS shows with one but does not find by it."""

_FIRST_DAY: Final = date(1900, 1, 1)
_DAY: Final = timedelta(days=1)
_LONGEST: Final = 36_525
"""Days of a window at most: a century."""

_MINUTES: Final = 24 * 60

Ask = Callable[[str, str], Awaitable[list[Json]]]
"""Study level answers for a value of Study Date and one of Study Time (ranges; "": all)."""


async def by_windows(ask: Ask, span: DateSpan, today: date) -> AsyncIterator[Json]:
    """All studies of these days, the newest first, each once.

    Args:
        ask: one query.
        span: which days.
        today: where to begin if the span has no end; one day ahead is looked at, too.
    """
    first, newest = span.first or _FIRST_DAY, span.last or today + _DAY
    found: set[str] = set()
    last, days = newest, 1
    if span.last is None:
        for study in await ask(f"{newest + _DAY:%Y%m%d}-", ""):
            found.add(text(study, "StudyInstanceUID"))
            yield study
    while last >= first:
        low = max(first, last - (days - 1) * _DAY)
        answers = await ask(_range(low, last), "")
        if len(answers) >= ENOUGH and low < last:
            days = max(1, days // 2)
            continue
        if len(answers) >= ENOUGH:
            answers = await _one_day(ask, last, answers)
        if len(found) <= SMALL:  # beyond it nothing more is done with them
            found.update(text(study, "StudyInstanceUID") for study in answers)
        for study in answers:
            yield study
        if len(answers) < ENOUGH // 4:
            days = min(days * 2, _LONGEST)
        last = low - _DAY
    if span.first is None and span.last is None and len(found) <= SMALL:
        for study in await ask("", ""):
            # Not by its date: one whose first instance has none, but a later one has, is shown
            # with a date by Orthanc and yet not found by it.
            if text(study, "StudyInstanceUID") not in found:
                yield study


def _range(low: date, high: date) -> str:
    return f"{low:%Y%m%d}" if low == high else f"{low:%Y%m%d}-{high:%Y%m%d}"


async def _one_day(ask: Ask, day: date, whole: list[Json]) -> list[Json]:
    """A day with many studies: by hours, and a busy hour by minutes.

    Studies without a time are in ``whole``, the answer for the day, as far as it reached.
    """
    found = {text(study, "StudyInstanceUID"): study for study in whole}

    async def collect(first: int, minutes: int) -> None:
        answers = await ask(f"{day:%Y%m%d}", _times(first, minutes))
        if len(answers) >= ENOUGH and minutes > 1:
            half = minutes // 2
            await collect(first, half)
            await collect(first + half, minutes - half)
            return
        found.update((text(study, "StudyInstanceUID"), study) for study in answers)

    for hour in range(0, _MINUTES, 60):
        await collect(hour, 60)
    return list(found.values())


def _times(first: int, minutes: int) -> str:
    last = first + minutes - 1
    return f"{first // 60:02}{first % 60:02}00-{last // 60:02}{last % 60:02}59.999999"
