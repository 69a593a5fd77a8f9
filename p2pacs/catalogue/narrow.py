"""How a query's keys narrow the index in SQL, without ever losing a match.

A condition here may let too much through (`p2pacs.catalogue.find` decides), but never
too little: it asks for a superset of what `p2pacs.catalogue.matching` accepts.
"""

from __future__ import annotations

from typing import Final

from p2pacs.catalogue import times
from p2pacs.catalogue.matching import WILD_VRS, name_groups
from p2pacs.catalogue.records import StudyRecord
from p2pacs.catalogue.sounds import sounds, wanted_sounds
from p2pacs.catalogue.views import study_view
from p2pacs.dataset.json_model import texts
from p2pacs.dataset.vocabulary import tag

TERMS: Final = {
    tag("PatientID"): "patient",
    tag("AccessionNumber"): "accession",
    tag("PatientName"): "name",
    tag("StudyDate"): "date",
    tag("ModalitiesInStudy"): "modality",
}
"""Attributes with an index, and what their terms are called; the most selective first."""

ASKED_TERMS: Final = {**TERMS, tag("Modality"): "modality"}
"""Keys that ask for a term; a modality is one of the study's, whichever series has it."""

SOUND: Final = "sound"
"""Terms of how a name sounds, for fuzzy matching."""

Narrowing = list[tuple[str, str, str]]
"""Alternatives: (term, operator, operand), operators being =, GLOB, and BETWEEN with
``low\\0high``."""


def terms_of(record: StudyRecord) -> set[tuple[str, str]]:
    """The terms under which a study is found: (kind, value)."""
    found: set[tuple[str, str]] = set()
    for view in (study_view(record), *record.patients[1:]):
        for key, kind in TERMS.items():
            for value in texts(view, key):
                found.update((kind, term) for term in _terms(kind, value))
    found.update(("series", series.uid) for series in record.series)
    return found | sounds_of(record)


def sounds_of(record: StudyRecord) -> set[tuple[str, str]]:
    """Those of them for fuzzy matching."""
    names = (texts(patient, tag("PatientName")) for patient in record.patients)
    return {(SOUND, one) for values in names for name in values for one in sounds(name)}


def _terms(kind: str, value: str) -> list[str]:
    if kind == "name":
        return [group for group in name_groups(value) if group]
    if kind == "date":
        span = times.interval("DA", value)
        return [span[0]] if span else []
    return [value]


def narrowing(key: str, vr: str, value: str, *, fuzzy: bool = False) -> Narrowing | None:
    """How one key narrows its terms; None if it cannot.

    Args:
        key: tag, one of `ASKED_TERMS`.
        vr: VR of the key.
        value: the key's text, alternatives separated by backslashes.
        fuzzy: whether names that sound alike match, too.
    """
    alternatives = [part.strip() for part in value.split("\\") if part.strip()]
    kind = ASKED_TERMS[key]
    found: Narrowing = []
    for part in alternatives:
        step = _step(kind, vr, part)
        if step is None:
            return None
        found.append((kind, *step))
        if fuzzy and kind == "name" and (wanted := wanted_sounds(part)):
            # All of them must be there: the longest is a rare one.
            found.append((SOUND, "=", max(wanted, key=lambda one: len(one.rstrip("0")))))
    return found or None


def _step(kind: str, vr: str, value: str) -> tuple[str, str] | None:
    if kind == "date":
        span = times.bounds("DA", value)
        # A stored date of reduced precision begins up to a year before what it may mean.
        return ("BETWEEN", f"{span[0][:4]}0000\0{span[1]}") if span else None
    if kind == "name":
        # What is cut off may match the empty components that a name does not write.
        pattern = next((group for group in name_groups(value) if group), "").rstrip("^*?")
        return ("GLOB", _glob(pattern) + "*") if pattern else None
    if not set("*?") & set(value):
        return "=", value
    return ("GLOB", _glob(value)) if vr in WILD_VRS else None


def _glob(pattern: str) -> str:
    return pattern.replace("[", "[[]")
