"""Hours with a rate of their own: ``08:00-18:00 400kbit``, ``mon-fri 22:00-06:00 off``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Final, Self

from attrs import field, frozen, validators

from p2pacs.errors import UsageError
from p2pacs.units import format_rate, parse_rate

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
WEEK: Final = frozenset(range(7))
DAY_MINUTES: Final = 24 * 60
OFF: Final = "off"

_FORM: Final = re.compile(
    r"(?:(?P<days>[a-z,-]+)\s+)?"
    r"(?P<begin>\d\d:\d\d)\s*-\s*(?P<end>\d\d:\d\d)\s+(?P<rate>\S.*)",
    re.IGNORECASE,
)


@frozen
class Hours:
    """A part of some days, in local time."""

    begin: int = field(validator=[validators.ge(0), validators.lt(DAY_MINUTES)])
    """Minute of the day."""
    end: int = field(validator=[validators.ge(0), validators.le(DAY_MINUTES)])
    """The first minute after it; not later than ``begin``: on the next day."""
    rate: int = field(validator=validators.ge(0))
    """Bits a second; 0 for nothing."""
    days: frozenset[int] = WEEK
    """On which it begins; 0 is Monday."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """The hours in ``[DAYS ]HH:MM-HH:MM RATE``, where RATE may be ``off``.

        Raises:
            UsageError: not that form; the message says what is.
        """
        match = _FORM.fullmatch(text.strip())
        if match is None:
            raise UsageError(
                f"not hours with a rate: {text!r} (write them as 08:00-18:00 400kbit, "
                "mon-fri 08:00-18:00 400kbit or sat,sun 00:00-24:00 off)"
            )
        begin, end = _minute(match["begin"]), _minute(match["end"])
        if begin in (end, DAY_MINUTES):
            raise UsageError(f"no time lies between the hours of {text!r}")
        rate = 0 if match["rate"].strip().lower() == OFF else parse_rate(match["rate"])
        return cls(begin, end, rate, _days(match["days"]) if match["days"] else WEEK)

    def __str__(self) -> str:
        days = "" if self.days == WEEK else ",".join(DAYS[day] for day in sorted(self.days)) + " "
        rate = format_rate(self.rate) if self.rate else OFF
        return f"{days}{_clock(self.begin)}-{_clock(self.end)} {rate}"

    def include(self, when: datetime) -> bool:
        """Whether a moment (local time) lies in these hours."""
        minute, day = when.hour * 60 + when.minute, when.weekday()
        if self.begin < self.end:
            return day in self.days and self.begin <= minute < self.end
        tonight = day in self.days and minute >= self.begin
        return tonight or ((day - 1) % 7 in self.days and minute < self.end)


def rate_at(hours: Sequence[Hours], when: datetime) -> int | None:
    """The rate of the first hours that include a moment; None if none do."""
    return next((one.rate for one in hours if one.include(when)), None)


def seconds_to_change(hours: Sequence[Hours], when: datetime) -> float:
    """Seconds until the next moment at which hours may begin or end; at most a day."""
    second = (when.hour * 60 + when.minute) * 60 + when.second + when.microsecond / 1e6
    edges = {minute * 60 for one in hours for minute in (one.begin, one.end)}
    day = DAY_MINUTES * 60
    return min(((edge - second) % day or day for edge in edges), default=day)


def _minute(text: str) -> int:
    hour, minute = int(text[:2]), int(text[3:])
    if minute > 59 or hour * 60 + minute > DAY_MINUTES:
        raise UsageError(f"no time of the day: {text} (00:00 to 24:00)")
    return hour * 60 + minute


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def _days(text: str) -> frozenset[int]:
    days: set[int] = set()
    for part in text.lower().split(","):
        first, dash, last = part.partition("-")
        if first not in DAYS or (dash and last not in DAYS):
            raise UsageError(f"no days: {text!r} (write them as mon-fri or sat,sun)")
        begin = DAYS.index(first)
        count = (DAYS.index(last) - begin) % 7 if dash else 0
        days |= {(begin + ahead) % 7 for ahead in range(count + 1)}
    return frozenset(days)
