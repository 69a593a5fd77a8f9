"""What ``p2pacs send`` says at its end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from p2pacs.output.json_object import JsonObject
from p2pacs.units import format_bytes
from peer.commands.output.outgoing import OUTGOING_STATES, how_far
from peer.commands.output.wording import format_seconds

if TYPE_CHECKING:
    from peer.commands.send.outcome import SendOutcome

MOST: Final = 20
"""Files, or studies, that are named; of the others there is a count."""


def study_name(study: JsonObject) -> str:
    """A study, as ``p2pacs sent`` numbers it."""
    return f"study {study['number']}"


def study_words(study: JsonObject) -> str:
    """How far a study is."""
    return OUTGOING_STATES[study["state"]]


def sent_lines(outcome: SendOutcome) -> Iterator[str]:
    """What a run did."""
    counts = outcome.counts
    taken = f"{_count(counts['kept'], 'file')} taken"
    if counts["kept"]:
        taken += f" ({format_bytes(outcome.size)} in {format_seconds(outcome.seconds)})"
    parts = [taken]
    if counts["known"]:
        was = "was" if counts["known"] == 1 else "were"
        parts.append(f"{counts['known']} {was} there already")
    if outcome.beside:
        parts.append(f"{len(outcome.beside)} kept beside")
    if outcome.broken:
        parts.append(f"{len(outcome.broken)} broken")
    if outcome.refused:
        parts.append(f"{len(outcome.refused)} refused")
    if missing := outcome.found - len(outcome.done):
        parts.append(f"{missing} not sent yet")
    yield ", ".join(parts) + "."
    if outcome.others:
        yield f"{_count(outcome.others, 'other file')} left out: not DICOM, or a DICOMDIR."
    yield from _named([f"Refused: {path}: {why}" for path, why in outcome.refused.items()])
    yield from _named([f"Kept beside: {path}" for path in outcome.beside])
    yield from _named([f"Broken: {path}" for path in outcome.broken])
    studies = [one for one in outcome.studies.values() if one]
    yield from _named([_study(one) for one in studies])


def _study(study: JsonObject) -> str:
    name = study_name(study).capitalize()
    return f"{name}: {_count(study['instances'], 'image')}, {how_far(study)}"


def _named(lines: list[str]) -> Iterator[str]:
    yield from lines[:MOST]
    if len(lines) > MOST:
        yield f"… and {len(lines) - MOST} more"


def _count(number: int, one: str) -> str:
    return f"{number} {one}" if number == 1 else f"{number} {one}s"
