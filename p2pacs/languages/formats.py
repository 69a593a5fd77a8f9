"""Numbers, sizes and times as the language of the request writes them (Unicode CLDR, by Babel)."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from p2pacs.languages.choice import current

_DAYS: Final = {"en": "%Y-%m-%d", "es": "%d/%m/%Y", "pt": "%d/%m/%Y", "de": "%d.%m.%Y"}
"""Dates in digits, with a year of four: as tables and forms of a hospital have them. English is
read by people who put the month first and by people who put the day first, so it has neither."""


def decimal(number: float, digits: int = 0) -> str:
    """A number with its thousands set apart, rounded to this many digits behind the point."""
    # Here: a program without pages spares its memory (7 MB).
    from babel.numbers import format_decimal  # noqa: PLC0415

    places = f".{'0' * digits}" if digits else ""
    rounded = Decimal(f"{number:.{digits}f}")  # as everywhere in the program
    return format_decimal(rounded, f"#,##0{places}", locale=current())


def whole(number: int) -> str:
    """A whole number."""
    return decimal(number) if abs(number) > 999 else str(number)


def percent(number: int) -> str:
    """Out of a hundred: ``42 %``."""
    return f"{number} %"


def size(count: float) -> str:
    """A number of bytes, in decimal units: ``10.5 MB``."""
    if count < 1000:
        return f"{round(count)} B"
    for unit in ("kB", "MB", "GB"):
        count /= 1000
        if count < 999.95:
            return f"{decimal(count, 1)} {unit}"
    return f"{decimal(count / 1000, 1)} TB"


def round_size(count: float) -> str:
    """The same without a nought behind the point, as at a plot's axis: ``500 MB``, ``1.5 GB``."""
    written, _, unit = size(count).rpartition(" ")
    nought = decimal(0, 1)[1:]
    return f"{written.removesuffix(nought)} {unit}"


def rate(bits_a_second: float) -> str:
    """How fast, in bits, as lines are sold: ``3.5 Mbit/s``."""
    for factor, unit in ((1e9, "Gbit/s"), (1e6, "Mbit/s"), (1e3, "kbit/s")):
        if bits_a_second >= factor:
            number = bits_a_second / factor
            return f"{decimal(number, 1 if number < 10 else 0)} {unit}"
    return f"{decimal(bits_a_second)} bit/s"


def day(year: int, month: int, date: int) -> str:
    """A date in digits."""
    written = _DAYS[current()].replace("%Y", f"{year:04}").replace("%m", f"{month:02}")
    return written.replace("%d", f"{date:02}")


def second(milliseconds: int) -> str:
    """A time to the second, in UTC.

    Args:
        milliseconds: since 1970.
    """
    time = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return f"{day(time.year, time.month, time.day)} {time:%H:%M:%S}"


def minute(milliseconds: int) -> str:
    """A time to the minute, in UTC.

    Args:
        milliseconds: since 1970.
    """
    time = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return f"{day(time.year, time.month, time.day)} {time:%H:%M}"
