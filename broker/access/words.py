"""Decisions on access in plain words, for pages and commands. Pure."""

from __future__ import annotations

from typing import Final

from broker.access.rules import Condition, Decision, Ground, values_of
from p2pacs.catalogue.records import StudyRecord
from p2pacs.phrases import Phrase
from p2pacs.texts import clean

_SHOWN: Final = 8
"""Values of one attribute that are named."""

_WHOLE: Final = {
    Ground.EVERYTHING: Phrase("its rule is all: it may read every study"),
    Ground.NOTHING: Phrase("its rule is none: it may read no study"),
    Ground.REPLICA: Phrase(
        "it is a replica: it keeps sealed copies without their keys, and reads nothing"
    ),
    Ground.REVOKED: Phrase("it was revoked: it reads nothing any more"),
}


def why(decision: Decision, record: StudyRecord) -> list[Phrase]:
    """What decided, in sentences without their full stop: of each condition what it asks for, and
    what the study has."""
    if (whole := _WHOLE.get(decision.ground)) is not None:
        return [whole]
    if decision.ground is Ground.ADDRESSED:
        return [Phrase("it was addressed to it by %(who)s", who=decision.actor)]
    return [_why(one, record, holds=decision.allowed) for one in decision.conditions]


def _why(condition: Condition, record: StudyRecord, *, holds: bool) -> Phrase:
    values = {"condition": condition_text(condition), "has": _found(condition, record)}
    if holds:
        return Phrase("%(condition)s holds: the study has %(has)s", **values)
    return Phrase("%(condition)s does not hold: the study has %(has)s", **values)


def condition_text(condition: Condition) -> str:
    """A condition as it is written in a rule."""
    return f"{condition.keyword}={','.join(map(_quoted, condition.values))}"


def _quoted(value: str) -> str:
    if set(value) & set(',;|="') or value != value.strip():
        return '"' + value.replace('"', '""') + '"'
    return value


def _found(condition: Condition, record: StudyRecord) -> str:
    values = list(dict.fromkeys(filter(None, values_of(record, condition.keyword))))
    if not values:
        return Phrase("no %(keyword)s", keyword=condition.keyword)
    shown = clean(", ".join(values[:_SHOWN]))
    return Phrase("%(values)s and others", values=shown) if len(values) > _SHOWN else shown
