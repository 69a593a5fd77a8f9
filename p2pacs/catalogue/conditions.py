"""A query's keys as conditions on the index's tables (`p2pacs.catalogue.narrow` says which)."""

from __future__ import annotations

from collections.abc import Container

from sqlalchemy import FromClause, or_, select
from sqlalchemy.sql.elements import ColumnElement

from p2pacs.catalogue import schema
from p2pacs.catalogue.matching import is_any
from p2pacs.catalogue.narrow import ASKED_TERMS, Narrowing, narrowing
from p2pacs.catalogue.question import UNIQUE, upto
from p2pacs.dataset.json_model import Json, texts
from p2pacs.dataset.vocabulary import tag


def conditions(
    level: str, keys: Json, *, fuzzy: bool, known: Container[str] = ()
) -> list[ColumnElement[bool]]:
    """What a study's row must meet: the strongest key drives the query, the others are looked up
    study by study.

    Args:
        level: of the search.
        keys: of the search, indexed ones and others.
        fuzzy: whether names that sound alike match, too.
        known: attributes that a study which does not tell them has empty.
    """
    levels = upto(level) if level in UNIQUE else ()
    if "STUDY" in levels and (uids := _uids(keys, "STUDY")):
        first: list[ColumnElement[bool]] = [schema.studies.c.uid.in_(uids)]
    else:
        first = []
    tests: list[ColumnElement[bool]] = []
    # Of a study that is named the PACS may not list that series; few are named.
    if "SERIES" in levels and not first and (uids := _uids(keys, "SERIES")):
        tests.append(_any_of([("series", "=", uid) for uid in uids]))
    of_patient = {tag("PatientID"), tag("PatientName"), tag("PatientBirthDate")}
    for key in ASKED_TERMS:
        if "STUDY" in levels or key in of_patient:
            alternatives = _alternatives(keys, key, fuzzy=fuzzy, known=known)
            tests.extend([_any_of(alternatives)] if alternatives else [])
    if tests and not first:
        first = [schema.studies.c.id.in_(select(schema.terms.c.study).where(tests.pop(0)))]
    same = schema.terms.c.study == schema.studies.c.id
    return [*first, *(select(schema.terms.c.study).where(same, test).exists() for test in tests)]


def _uids(keys: Json, level: str) -> list[str]:
    """Those that are asked for; none if any will do."""
    uids = texts(keys, UNIQUE[level])
    return [] if any(map(is_any, uids)) else uids


def _alternatives(
    keys: Json, key: str, *, fuzzy: bool = False, known: Container[str] = ()
) -> Narrowing | None:
    if found := texts(keys, key):
        return narrowing(key, keys[key]["vr"], "\\".join(found), fuzzy=fuzzy, known=known)
    return None


def names_few(keys: Json) -> bool:
    """Whether a search at study level names somebody, or something of one study."""
    few = tag("PatientID"), tag("PatientName"), tag("AccessionNumber")
    return bool(_uids(keys, "STUDY")) or any(_alternatives(keys, key) for key in few)


def dates_within(dates: FromClause, keys: Json) -> list[ColumnElement[bool]]:
    """What a row of the dates of studies must meet where a search asks for a date.

    Args:
        dates: the table of terms under a name of its own; of which only dates are looked at.
        keys: of the search.
    """
    alternatives = _alternatives(keys, tag("StudyDate"))
    return [_any_of(alternatives, dates)] if alternatives else []


def _any_of(alternatives: Narrowing, terms: FromClause = schema.terms) -> ColumnElement[bool]:
    kind, value = terms.c.kind, terms.c.value
    tests: list[ColumnElement[bool]] = []
    for of_kind, operator, operand in alternatives:
        if operator == "BETWEEN":
            low, high = operand.split("\0")
            test: ColumnElement[bool] = (value >= low) & (value <= high)
        else:
            test = value.op(operator)(operand)
        tests.append((kind == of_kind) & test)
    return or_(*tests)
