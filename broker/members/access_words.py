"""Decisions on access in plain words, for pages and commands. Pure."""

from __future__ import annotations

from typing import Final

from broker.members.access import Condition, Decision, Ground, values_of
from p2pacs.catalogue.records import StudyRecord
from p2pacs.texts import clean

_SHOWN: Final = 8
"""Values of one attribute that are named."""

_WHOLE: Final = {
    Ground.EVERYTHING: "its rule is all: it may read every study",
    Ground.NOTHING: "its rule is none: it may read no study",
    Ground.REPLICA: "it is a replica: it keeps sealed copies without their keys, and reads nothing",
    Ground.REVOKED: "it was revoked: it reads nothing any more",
}


def why(decision: Decision, record: StudyRecord) -> list[str]:
    """What decided, in sentences without their full stop: of each condition what it asks for, and
    what the study has."""
    if said := _WHOLE.get(decision.ground):
        return [said]
    holds = "holds" if decision.allowed else "does not hold"
    found = ((one, _found(one, record)) for one in decision.conditions)
    return [f"{condition_text(one)} {holds}: the study has {has}" for one, has in found]


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
        return f"no {condition.keyword}"
    return clean(", ".join(values[:_SHOWN]) + (" and others" if len(values) > _SHOWN else ""))
