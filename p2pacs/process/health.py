"""How a program is: checks, each with a state, what was found, and what to do about it. Pure.

Pages, metrics and ``p2pacs doctor`` show the same list. Who gathers it stands in each program; what
both judge alike (disks, what expires, clocks) is judged here.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from attrs import frozen

from p2pacs.phrases import Phrase, counted
from p2pacs.units import ByteCount

DAY: Final = 24 * 3600 * 1000
"""Milliseconds."""

FULL: Final = 10**9
"""Free bytes below which databases and downloads soon fail."""

NEARLY_FULL: Final = 5 * 10**9
"""Free bytes below which a disk is worth a look however large it is."""

TIGHT_SHARE: Final = 0.05
"""A disk with a smaller part of it free is worth a look ..."""

TIGHT: Final = 50 * 10**9
"""... unless so many bytes are free: five percent of a large disk last for long."""

CLOCK_LOOK: Final = 5.0
"""Seconds: of the same order as what a clock without NTP drifts within weeks."""

CLOCK_BAD: Final = 60.0
"""Seconds after which times of the audit mislead and one-time codes (RFC 6238) are refused."""


class Health(StrEnum):
    """How something is, from well to bad."""

    GOOD = "good"
    LOOK = "look"
    """It works, and somebody should look at it soon."""
    BAD = "bad"
    """It does not work, or will not for long."""


_ORDER: Final = tuple(Health)


@frozen
class HealthCheck:
    """One thing that was looked at. Its texts are phrases, and hold nothing of patients."""

    name: str
    """Of what, in a few words; the same as long as the program runs."""
    state: Health
    what: str
    """What was found, in one sentence."""
    advice: str = ""
    """What to do; empty where all is well."""

    @property
    def key(self) -> str:
        """The name as a label of metrics: ``disk_of_the_store``."""
        words = "".join(one if one.isalnum() else " " for one in self.name.lower())
        return "_".join(words.split())


def worst(checks: Iterable[HealthCheck]) -> Health:
    """The worst state among these; good if there are none."""
    return max((check.state for check in checks), key=_ORDER.index, default=Health.GOOD)


def worst_first(checks: Iterable[HealthCheck]) -> list[HealthCheck]:
    """What needs somebody first; else in the order given."""
    return sorted(checks, key=lambda check: -_ORDER.index(check.state))


def check_json(check: HealthCheck) -> dict[str, str]:
    """A check for ``--json``."""
    return {
        "key": check.key,
        "name": check.name,
        "state": check.state.value,
        "what": check.what,
        "advice": check.advice,
    }


# ---------------------------------------------------------------- what both programs judge alike


def disk_check(name: str, free: int, total: int, advice: str = "") -> HealthCheck:
    """The room on the disk of a folder.

    Args:
        name: of the check.
        free: bytes that the program may still write.
        total: bytes of the disk.
        advice: what to do if there is little; empty: make room or a larger disk.
    """
    what = Phrase("%(free)s of %(all)s are free.", free=ByteCount(free), all=ByteCount(total))
    advice = advice or Phrase("Make room on this disk, or move the folder to a larger one.")
    if free < FULL:
        return HealthCheck(name, Health.BAD, what, advice)
    if free < NEARLY_FULL or (free < TIGHT and free < TIGHT_SHARE * total):
        return HealthCheck(name, Health.LOOK, what, advice)
    return HealthCheck(name, Health.GOOD, what)


def expiry_check(name: str, ends: int, at: int, advice: str, *, days: int = 30) -> HealthCheck:
    """Until when something is good.

    Args:
        name: of the check.
        ends: milliseconds since 1970.
        at: now, likewise.
        advice: what to do before it ends, and after.
        days: from how many days before its end on it is worth a look.
    """
    left = (ends - at) // DAY
    if ends <= at:
        return HealthCheck(name, Health.BAD, Phrase("It has ended."), advice)
    what = counted("It is good for %(num)s more day.", "It is good for %(num)s more days.", left)
    return (
        HealthCheck(name, Health.LOOK, what, advice)
        if left < days
        else HealthCheck(name, Health.GOOD, what)
    )


def clock_check(name: str, seconds: float) -> HealthCheck:
    """By how much a clock differs from another.

    Args:
        name: of the check.
        seconds: this machine's minus the other's.
    """
    off = abs(seconds)
    if off < CLOCK_LOOK:
        return HealthCheck(name, Health.GOOD, Phrase("It is right to within a few seconds."))
    count = round(off)
    what = (
        Phrase("It is %(count)s s ahead.", count=count)
        if seconds > 0
        else Phrase("It is %(count)s s behind.", count=count)
    )
    state = Health.BAD if off >= CLOCK_BAD else Health.LOOK
    return HealthCheck(name, state, what, Phrase("Let the machine follow a time server (NTP)."))
