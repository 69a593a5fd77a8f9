"""Times as pages show them. Pure."""

from __future__ import annotations

from datetime import UTC, datetime


def minute(time: int | None) -> str:
    """A time for people, to the minute; in UTC.

    Args:
        time: milliseconds since 1970; None: it never was.
    """
    if time is None:
        return "never"
    return f"{datetime.fromtimestamp(time / 1000, UTC):%Y-%m-%d %H:%M}"


def utc(time: int | None) -> str:
    """The same, naming the zone."""
    return "never" if time is None else f"{minute(time)} UTC"
