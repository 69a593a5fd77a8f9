"""Times as pages show them. Pure."""

from __future__ import annotations

from p2pacs.languages import _, formats


def minute(time: int | None) -> str:
    """A time for people, to the minute; in UTC.

    Args:
        time: milliseconds since 1970; None: it never was.
    """
    if time is None:
        return _("never")
    return formats.minute(time)


def utc(time: int | None) -> str:
    """The same, naming the zone."""
    return _("never") if time is None else f"{minute(time)} UTC"
