"""Runs checks side by side: each has a deadline, and none that fails stops another."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

import trio
from attrs import frozen

from p2pacs.errors import P2PacsError, first_of
from p2pacs.process.health import Health, HealthCheck

SECONDS: Final = 20.0
"""For one check: longer than a PACS or a member may take to answer."""

OFFLINE: Final = "This could not be checked. Look into it by hand, or run the doctor again."


@frozen
class PlannedCheck:
    """Something that is going to be looked at."""

    name: str
    look: Callable[[], Awaitable[Sequence[HealthCheck]]]
    """What is found; what it raises is bad, and its text says why."""


async def examine(
    planned: Sequence[PlannedCheck], *, seconds: float = SECONDS
) -> list[HealthCheck]:
    """What is found, in the order planned.

    Args:
        planned: what to look at.
        seconds: for each.
    """
    found: list[Sequence[HealthCheck]] = [()] * len(planned)

    async def look(number: int, one: PlannedCheck) -> None:
        found[number] = await _looked(one, seconds)

    async with trio.open_nursery() as nursery:
        for number, one in enumerate(planned):
            nursery.start_soon(look, number, one)
    return [check for those in found for check in those]


async def _looked(one: PlannedCheck, seconds: float) -> Sequence[HealthCheck]:
    try:
        with trio.move_on_after(seconds):
            return await one.look()
    except (P2PacsError, OSError, ValueError, ExceptionGroup) as error:
        known = first_of(error)
        what = str(known) if known is not None else f"{type(error).__name__}"
        if isinstance(error, OSError) and error.strerror:
            what = error.strerror
        return [failed(one.name, what)]
    return [failed(one.name, f"there was no answer within {seconds:g} s", OFFLINE)]


def failed(name: str, what: str, advice: str = "") -> HealthCheck:
    """A bad check out of the text of an error, which says what to do after a colon."""
    text, _, said = what.partition(": ")
    sentence = text[:1].upper() + text[1:]
    if advice or not said:
        return HealthCheck(name, Health.BAD, _ended(what[:1].upper() + what[1:]), advice)
    return HealthCheck(name, Health.BAD, _ended(sentence), _ended(said[:1].upper() + said[1:]))


def good(name: str, what: str) -> HealthCheck:
    """All is well."""
    return HealthCheck(name, Health.GOOD, what)


def look_at(name: str, what: str, advice: str) -> HealthCheck:
    """It works, but."""
    return HealthCheck(name, Health.LOOK, what, advice)


def _ended(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."


def runs(folder: Path, side: str, *, running: bool) -> HealthCheck:
    """Whether the program of this folder runs; all works either way."""
    if running:
        return good("Program", "It runs.")
    start = f"Start it when all else is well: p2pacs {side} run {folder}"
    return look_at("Program", "It does not run.", start)
