"""Values as people read them on a page. Pure."""

from __future__ import annotations

from typing import Final

from p2pacs.texts import clean
from p2pacs.units import format_bytes

_SEX: Final = {"M": "male", "F": "female", "O": "other"}


def person(name: str) -> str:
    """A person name of DICOM: ``Doe^John^^Dr=山田`` → ``Doe, John, Dr (山田)``."""
    shown = []
    for group in clean(name).split("="):
        parts = [part.strip() for part in group.split("^")]
        if kept := [part for part in parts if part]:
            shown.append(", ".join(kept))
    first, *others = shown or [""]
    return f"{first} ({'; '.join(others)})" if others else first


def day(date: str) -> str:
    """A date of DICOM (PS3.5 6.2, DA): ``20240131`` → ``2024-01-31``."""
    if len(date) == 8 and date.isdecimal():
        return f"{date[:4]}-{date[4:6]}-{date[6:]}"
    return clean(date)


def clock(time: str) -> str:
    """A time of DICOM (TM) to the minute: ``153012.5`` → ``15:30``."""
    return f"{time[:2]}:{time[2:4]}" if len(time) >= 4 and time[:4].isdecimal() else clean(time)


def sex(code: str) -> str:
    """Patient's Sex."""
    return _SEX.get(code, clean(code))


def rate(bytes_a_second: float) -> str:
    """How fast, in bits: as lines are sold."""
    bits = 8 * bytes_a_second
    for factor, unit in ((1e9, "Gbit/s"), (1e6, "Mbit/s"), (1e3, "kbit/s")):
        if bits >= factor:
            number = bits / factor
            return f"{number:.1f} {unit}" if number < 10 else f"{number:.0f} {unit}"
    return f"{bits:.0f} bit/s"


def left(seconds: float | None) -> str:
    """How long it takes still."""
    if seconds is None:
        return ""
    if seconds < 1:
        return "now"
    if seconds < 90:
        return f"{seconds:.0f} s left"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min left"
    if seconds < 36 * 3600:
        return f"{seconds / 3600:.0f} h left"
    return f"{seconds / 86400:.0f} days left"


def amount(part: int, whole: int) -> str:
    """So much of so much."""
    return f"{format_bytes(part)} of {format_bytes(whole)}" if whole else format_bytes(part)


def count(number: int | None, one: str, many: str) -> str:
    """``1 image``, ``12 images``; nothing if it is not known."""
    return "" if number is None else f"{number} {one if number == 1 else many}"


def days(number: float) -> str:
    """``1 day``, ``12 days``."""
    return count(max(1, round(number)), "day", "days")


def ago(seconds: float) -> str:
    """How old something is."""
    if seconds < 90:
        return "as of now"
    if seconds < 90 * 60:
        return f"as of {seconds / 60:.0f} min ago"
    return f"as of {seconds / 3600:.0f} h ago"


def capitalize_first(text: str) -> str:
    """The text with a capital at its beginning, and the rest as it is."""
    return text[:1].upper() + text[1:]
