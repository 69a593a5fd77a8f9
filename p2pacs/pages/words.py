"""Values as people read them on a page, in their language. Pure."""

from __future__ import annotations

from typing import Final

from p2pacs.languages import N_, _, formats, ngettext, said
from p2pacs.texts import clean
from p2pacs.units import format_rate

_SEX: Final = {"M": N_("male"), "F": N_("female"), "O": N_("other")}


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
    """A date of DICOM (PS3.5 6.2, DA): ``20240131`` → ``2024-01-31``, ``31.01.2024``."""
    if len(date) == 8 and date.isascii() and date.isdecimal():
        return formats.day(int(date[:4]), int(date[4:6]), int(date[6:]))
    return clean(date)


def clock(time: str) -> str:
    """A time of DICOM (TM) to the minute: ``153012.5`` → ``15:30``."""
    return f"{time[:2]}:{time[2:4]}" if len(time) >= 4 and time[:4].isdecimal() else clean(time)


def sex(code: str) -> str:
    """Patient's Sex."""
    return said(_SEX[code]) if code in _SEX else clean(code)


def rate(bytes_a_second: float) -> str:
    """How fast, in bits: as lines are sold."""
    return formats.rate(8 * bytes_a_second)


def left(seconds: float | None) -> str:
    """How long it takes still."""
    if seconds is None:
        return ""
    if seconds < 1:
        return _("now")
    if seconds < 90:
        return _("%(count)s s left", count=round(seconds))
    if seconds < 90 * 60:
        return _("%(count)s min left", count=round(seconds / 60))
    if seconds < 36 * 3600:
        return _("%(count)s h left", count=round(seconds / 3600))
    return ngettext("%(num)s day left", "%(num)s days left", round(seconds / 86400))


def amount(part: int, whole: int) -> str:
    """So much of so much."""
    if not whole:
        return formats.size(part)
    return _("%(part)s of %(whole)s", part=formats.size(part), whole=formats.size(whole))


def images(number: int | None) -> str:
    """``1 image``, ``12 images``; nothing if it is not known."""
    return "" if number is None else ngettext("%(num)s image", "%(num)s images", number)


def days(number: float) -> str:
    """``1 day``, ``12 days``."""
    return ngettext("%(num)s day", "%(num)s days", max(1, round(number)))


def ago(seconds: float) -> str:
    """How old something is."""
    if seconds < 90:
        return _("As of now.")
    if seconds < 90 * 60:
        return _("As of %(count)s min ago.", count=round(seconds / 60))
    return _("As of %(count)s h ago.", count=round(seconds / 3600))


def capitalize_first(text: str) -> str:
    """The text with a capital at its beginning, and the rest as it is."""
    return text[:1].upper() + text[1:]


def limit(bits_a_second: float | None) -> str:
    """A rate that may not be exceeded, as it is typed in forms and files; None: there is none."""
    return _("no limit") if bits_a_second is None else format_rate(bits_a_second)
