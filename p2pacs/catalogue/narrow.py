"""How a query's keys narrow the index in SQL, without ever losing a match.

A condition here may let too much through (`p2pacs.catalogue.find` decides), but never
too little: it asks for a superset of what `p2pacs.catalogue.matching` accepts.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Final

from p2pacs.catalogue import times
from p2pacs.catalogue.matching import WILD_VRS, name_groups
from p2pacs.catalogue.records import StudyRecord
from p2pacs.catalogue.sounds import sounds, wanted_sounds
from p2pacs.catalogue.views import patient_records, study_view
from p2pacs.dataset.json_model import SINGLE_VRS, texts
from p2pacs.dataset.vocabulary import REQUIRED_TAGS, tag

TERMS: Final = {
    tag("PatientID"): "patient",
    tag("AccessionNumber"): "accession",
    tag("PatientName"): "name",
    tag("StudyID"): "study id",
    tag("PatientBirthDate"): "birth",
    tag("ReferringPhysicianName"): "referring",
    tag("StudyDescription"): "description",
    tag("StudyDate"): "date",
    tag("ModalitiesInStudy"): "modality",
}
"""Attributes with an index, and what their terms are called; the most selective first."""

ASKED_TERMS: Final = {**TERMS, tag("Modality"): "modality"}
"""Keys that ask for a term; a modality is one of the study's, whichever series has it."""

_SOUNDS: Final = {"name": "sound", "referring": "referring sound"}
"""Terms of how a name sounds, for fuzzy matching."""

_DATES: Final = frozenset({"date", "birth"})

UNTOLD: Final = ""
"""The term of a study that does not tell an attribute: it may match whatever is asked for, unless
the PACS is known to tell it (`p2pacs.catalogue.find`)."""

SEVERAL: Final = "several"
"""Kind of the term of a study that is no single answer under a single date: one of several
patients, or with several dates."""

_PATTERN: Final = 1000
"""Characters of a pattern that SQLite is asked to look for; it refuses more than 50,000 bytes."""

Narrowing = list[tuple[str, str, str]]
"""Alternatives: (term, operator, operand), operators being =, GLOB, and BETWEEN with
``low\\0high``."""


def terms_of(record: StudyRecord) -> set[tuple[str, str]]:
    """The terms under which a study is found: (kind, value)."""
    found: set[tuple[str, str]] = set()
    views = [study_view(one) for one in patient_records(record)]
    for view in views:
        for key, kind in TERMS.items():
            if key not in view and key not in REQUIRED_TAGS:
                found.add((kind, UNTOLD))
            for value in texts(view, key):
                found.update((kind, term) for term in _terms(kind, value))
                found.update((_SOUNDS[kind], one) for one in _sounds(kind, value))
    found.update(("series", series.uid) for series in record.series)
    if len(views) != 1 or sum(kind == "date" for kind, _ in found) > 1:
        found.add((SEVERAL, ""))
    return found


def _terms(kind: str, value: str) -> list[str]:
    if kind in _SOUNDS:
        return [group for group in name_groups(value) if group]
    if kind in _DATES:
        span = times.interval("DA", value)
        return [span[0]] if span else []
    return [value]


def _sounds(kind: str, value: str) -> Iterable[str]:
    return sounds(value) if kind in _SOUNDS else ()


def narrowing(
    key: str, vr: str, value: str, *, fuzzy: bool = False, known: Container[str] = ()
) -> Narrowing | None:
    """How one key narrows its terms; None if it cannot.

    Args:
        key: tag, one of `ASKED_TERMS`.
        vr: VR of the key.
        value: the key's text, alternatives separated by backslashes.
        fuzzy: whether names that sound alike match, too.
        known: attributes that a study which does not tell them has empty.
    """
    parts = [value] if vr in SINGLE_VRS else value.split("\\")
    alternatives = [part for part in (part.strip(" \0") for part in parts) if part]
    kind = ASKED_TERMS[key]
    found: Narrowing = []
    for part in alternatives:
        step = _step(kind, vr, part)
        if step is None:
            return None
        found.append((kind, *step))
        if fuzzy and kind in _SOUNDS and (wanted := wanted_sounds(part)):
            # All of them must be there: the longest is a rare one.
            longest = max(wanted, key=lambda one: len(one.rstrip("0")))
            found.append((_SOUNDS[kind], "=", longest))
    if found and key not in REQUIRED_TAGS and key not in known:
        found.append((kind, "=", UNTOLD))
    return found or None


def _step(kind: str, vr: str, value: str) -> tuple[str, str] | None:
    if kind in _DATES:
        span = times.bounds("DA", value)
        # A stored date of reduced precision begins up to a year before what it may mean.
        return ("BETWEEN", f"{span[0][:4]}0000\0{span[1]}") if span else None
    if len(value) > _PATTERN:
        return None
    if kind in _SOUNDS:
        # What is cut off may match the empty components that a name does not write.
        pattern = next((group for group in name_groups(value) if group), "").rstrip("^*?")
        return ("GLOB", _glob(pattern) + "*") if pattern else None
    if not set("*?") & set(value):
        return "=", value
    return ("GLOB", _glob(value)) if vr in WILD_VRS else None


def _glob(pattern: str) -> str:
    return pattern.replace("[", "[[]")
