"""Dates and times as intervals, so that a missing component means "any" (PS3.4 C.2.2.2.5).

``1030`` is the interval from 10:30:00 to 10:30:59.999999. A key matches when its
interval and that of the value have an instant in common; an open range has no end.
All is text that sorts: digits of YYYYMMDDHHMMSSFFFFFF, or the part that the VR has.
Date times without an offset are taken as UTC, like those of every other value.
"""

from __future__ import annotations

import re
from calendar import isleap
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

Interval = tuple[str, str]

KINDS: Final = frozenset({"DA", "TM", "DT"})

_FIRST: Final = {"DA": "00000101", "TM": "000000000000", "DT": "00000101000000000000"}
_LAST: Final = {"DA": "99991231", "TM": "235959999999", "DT": "99991231235959999999"}
_VALUE: Final = {
    "DA": re.compile(r"\d{4}(?:\d{2}){0,2}"),
    "TM": re.compile(r"\d{2}(?:\d{2}){0,2}(?:(?<=\d{6})\.\d{1,6})?"),
    "DT": re.compile(r"(\d{4}(?:\d{2}){0,5}(?:(?<=\d{14})\.\d{1,6})?)([+-]\d{4})?"),
}
_DT_RANGE: Final = re.compile(
    r"(?P<low>\d{4,14}(?:\.\d{1,6})?(?:\+\d{4}|-(?:0\d|1[0-2])\d{2}(?=-))?)?-"
    r"(?P<high>\d{4,14}(?:\.\d{1,6})?(?:[+-]\d{4})?)?"
)
_OFFSET_ONLY: Final = re.compile(r"\d{4,14}(?:\.\d{1,6})?-(?:0\d|1[0-2])\d{2}")
"""A date time with a negative offset; years before 1300 are no ends of a range."""


def overlap_test(vr: str, key: str) -> Callable[[str], bool]:
    """Whether a value's interval meets that of the key; a key that is no time meets nothing
    but the same text."""
    wanted = bounds(vr, key)
    if wanted is None:
        return lambda value: value == key
    first, last = wanted

    def test(value: str) -> bool:
        span = interval(vr, value)
        return span is not None and span[0] <= last and first <= span[1]

    return test


def bounds(vr: str, key: str) -> Interval | None:
    """First and last instant of a key: a single value or a range; None if it is neither."""
    key = _plain(vr, key)
    split = _split(vr, key)
    if split is None:
        return interval(vr, key)
    low, high = split
    first = interval(vr, low) if low else (_FIRST[vr], "")
    last = interval(vr, high) if high else ("", _LAST[vr])
    if first is None or last is None or not (low or high):
        return None
    return first[0], last[1]


def combined(date: str, time: str) -> Interval | None:
    """First and last instant of a range of dates and one of times, as one range of both.

    Ranges must be of the same form (PS3.4 C.2.2.2.5): 20060705-20060707 with 1000-1800 begins on
    July 5 at 10 and ends on July 7 at 18 o'clock. None if they are not: each is matched alone then.
    """
    days, clocks = _split("DA", _plain("DA", date)), _split("TM", _plain("TM", time))
    if days is None or clocks is None or [*map(bool, days)] != [*map(bool, clocks)]:
        return None
    of_days, of_clocks = bounds("DA", date), bounds("TM", time)
    if of_days is None or of_clocks is None:
        return None
    return of_days[0] + of_clocks[0], of_days[1] + of_clocks[1]


def combined_test(date: str, time: str) -> Callable[[str, str], bool] | None:
    """Whether the date and the time of an event meet a range of both; None if the keys are not
    matched as one. Where an event has no time, any instant of its day will do."""
    wanted = combined(date, time)
    if wanted is None:
        return None
    first, last = wanted

    def test(day: str, clock: str) -> bool:
        days, clocks = interval("DA", day), interval("TM", clock)
        if days is None:
            return False
        begin, end = clocks or (_FIRST["TM"], _LAST["TM"])
        return days[0] + begin <= last and first <= days[1] + end

    return test


def is_possible(vr: str, key: str, *, ordered: bool = True) -> bool:
    """Whether an attribute can have such a value, or one in such a range.

    A single value must be a real date or time; the end of a range may be any day up to the 31st, as
    many write it for the last one of a month.

    Args:
        vr: DA, TM or DT.
        key: the value or range.
        ordered: whether the end of a range must not be before its begin.
    """
    key = _plain(vr, key)
    split, span = _split(vr, key), bounds(vr, key)
    if span is None or (ordered and span[0] > span[1]):
        return False
    if split is None:
        return _is_real(vr, key, _MONTHS)
    return all(not end or _is_real(vr, end, {}) for end in split)


_MONTHS: Final = {2: 29, 4: 30, 6: 30, 9: 30, 11: 30}
"""Days of the months that have no 31."""


def _is_real(vr: str, value: str, months: Mapping[int, int]) -> bool:
    found = _VALUE[vr].fullmatch(_plain(vr, value))
    if found is None:
        return False
    written, offset = (found[1], found[2]) if vr == "DT" else (found[0], None)
    date, clock = ("", written) if vr == "TM" else (written[:8], written[8:])
    of_clock = zip(_twos(clock), _CLOCK, strict=False)
    of_offset = zip(_twos(offset[1:]) if offset else [], _OFFSET, strict=False)
    return _is_date(date, months) and all(int(two) <= most for two, most in (*of_clock, *of_offset))


_CLOCK: Final = (23, 59, 60)
"""The last hour, minute, and second (a leap second)."""

_OFFSET: Final = (14, 59)
"""Hours and minutes from UTC."""


def _is_date(digits: str, months: Mapping[int, int]) -> bool:
    month, day = int(digits[4:6] or 1), int(digits[6:8] or 1)
    if not (1 <= month <= 12 and 1 <= day <= months.get(month, 31)):
        return False
    is_29th = months and (month, day) == (2, 29)
    return not is_29th or isleap(int(digits[:4]))


def _twos(digits: str) -> list[str]:
    return [digits[at : at + 2] for at in range(0, min(len(digits), 6), 2)]


def _split(vr: str, key: str) -> tuple[str, str] | None:
    if vr != "DT":
        low, dash, high = key.partition("-")
        return (low.strip(), high.strip()) if dash else None
    if _OFFSET_ONLY.fullmatch(key):
        return None
    found = _DT_RANGE.fullmatch(key)
    return (found["low"] or "", found["high"] or "") if found else None


def interval(vr: str, value: str) -> Interval | None:
    """First and last instant that a value may mean; None if it is no date or time."""
    found = _VALUE[vr].fullmatch(_plain(vr, value))
    if found is None:
        return None
    offset = found[2] if vr == "DT" else None
    digits = (found[1] if vr == "DT" else found[0]).replace(".", "")
    first = digits + _FIRST[vr][len(digits) :]
    last = digits + _LAST[vr][len(digits) :]
    return (_utc(first, offset), _utc(last, offset)) if offset else (first, last)


def _plain(vr: str, value: str) -> str:
    """Without the separators of ACR-NEMA: 1999.12.31, 23:59:59 (PS3.5 6.2)."""
    value = value.strip(" \0")
    return value.replace(".", "") if vr == "DA" else value.replace(":", "")


def _utc(digits: str, offset: str) -> str:
    minutes = int(offset[1:3]) * 60 + int(offset[3:])
    year, *rest = int(digits[:4]), *(int(digits[at : at + 2]) for at in range(4, 14, 2))
    month, day, hour, minute, second = rest
    try:
        zone = timezone(timedelta(minutes=-minutes if offset[0] == "-" else minutes))
        local = datetime(year, month, 1, hour, minute, second, int(digits[14:]), zone)
        moment = (local + timedelta(days=day - 1)).astimezone(UTC)
    except (ValueError, OverflowError):
        return digits
    return f"{moment.year:04}{moment:%m%d%H%M%S%f}"
