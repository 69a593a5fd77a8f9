"""Which studies a member may read: rules on the attributes of a study, pure.

    rule         all | none | alternative { "|" alternative }
    alternative  condition { ";" condition }            all of them must hold
    condition    Keyword "=" value { "," value }        one of the values must match
    value        text, or "text in quotes" where it holds , ; | or "" for a quote

Keywords are DICOM's (PS3.6) of patient, study or series; ``Modality`` looks at all series
of the study, and a patient's attributes at all its patients, should there be several (one that
matches is enough). Values match as in a C-FIND: wild cards ``*`` and ``?``, ranges of dates
(``20260101-``), person names without regard to case.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import Final

from attrs import frozen
from pydicom.datadict import dictionary_VR, tag_for_keyword

from p2pacs.catalogue.matching import matcher
from p2pacs.catalogue.records import StudyRecord
from p2pacs.catalogue.times import KINDS, bounds
from p2pacs.dataset.json_model import texts
from p2pacs.dataset.vocabulary import (
    PATIENT_COUNTS,
    PATIENT_TAGS,
    SERIES_TAGS,
    STUDY_LEVEL_TAGS,
    tag,
)
from p2pacs.errors import UsageError
from p2pacs.identity.directory import Role
from p2pacs.limits import KIB
from p2pacs.phrases import Phrase

_LENGTH: Final = 4 * KIB
_TOKEN: Final = re.compile(
    r'\s*(?:(?P<mark>[=,;|])|"(?P<quoted>(?:[^"]|"")*)"|(?P<bare>[^=,;|"]+))'
)
_KEPT: Final = (STUDY_LEVEL_TAGS | SERIES_TAGS) - PATIENT_COUNTS
"""What a study can be known to have; what a patient has in all is counted when it is asked for."""

_EXAMPLE: Final = "Modality=CT,MR; InstitutionName=North*"


@frozen
class Condition:
    """One attribute must have one of these values."""

    keyword: str
    values: tuple[str, ...]

    def holds(self, record: StudyRecord) -> bool:
        """Whether it does."""
        vr = dictionary_VR(self.keyword)
        found = values_of(record, self.keyword)
        # A key that matches everything never got past `parse_rule`: absent values do not match.
        tests = [matcher(vr, value) for value in self.values]
        return any(test is not None and test(found) for test in tests)


@frozen
class Rule:
    """What a member may read."""

    text: str
    everything: bool = False
    alternatives: tuple[tuple[Condition, ...], ...] = ()

    def __str__(self) -> str:
        return self.text


ALL: Final = Rule("all", everything=True)
NONE: Final = Rule("none")


class Ground(Enum):
    """On what a decision stands."""

    EVERYTHING = auto()
    """The rule is ``all``."""
    NOTHING = auto()
    """The rule is ``none``."""
    ALTERNATIVE_HOLDS = auto()
    NO_ALTERNATIVE_HOLDS = auto()
    ADDRESSED = auto()
    """The study was addressed to it, whatever its rule is."""
    REPLICA = auto()
    """It keeps sealed copies, whatever its rule is."""
    REVOKED = auto()


@frozen
class Decision:
    """Whether a study may be read, and why."""

    ground: Ground
    rule: Rule
    conditions: tuple[Condition, ...] = ()
    """What decided: of the first alternative that holds all of its conditions; if none does, of
    each the first condition that does not hold."""
    actor: str = ""
    """Who addressed it, if that decided."""

    @property
    def allowed(self) -> bool:
        """Whether it may be read."""
        return self.ground in (Ground.EVERYTHING, Ground.ALTERNATIVE_HOLDS, Ground.ADDRESSED)


def decide(rule: Rule, record: StudyRecord) -> Decision:
    """Whether the rule lets its member read this study, and why."""
    if rule.everything:
        return Decision(Ground.EVERYTHING, rule)
    failing = []
    for alternative in rule.alternatives:
        fails = next((one for one in alternative if not one.holds(record)), None)
        if fails is None:
            return Decision(Ground.ALTERNATIVE_HOLDS, rule, alternative)
        failing.append(fails)
    ground = Ground.NO_ALTERNATIVE_HOLDS if failing else Ground.NOTHING
    return Decision(ground, rule, tuple(failing))


def decide_for(
    role: Role,
    rule: Rule,
    record: StudyRecord,
    *,
    revoked: bool = False,
    addressed_by: str | None = None,
) -> Decision:
    """The same for a member of this role: a replica reads nothing, nor does who was revoked.

    Args:
        role: the member's.
        rule: the member's.
        record: of the study.
        revoked: whether the member was revoked.
        addressed_by: who addressed the study to it; None: nobody.
    """
    if revoked:
        return Decision(Ground.REVOKED, rule)
    if role is Role.REPLICA:
        return Decision(Ground.REPLICA, rule)
    decision = decide(rule, record)
    if decision.allowed or addressed_by is None:
        return decision
    return Decision(Ground.ADDRESSED, rule, actor=addressed_by)


def allows(rule: Rule, record: StudyRecord) -> bool:
    """Whether the rule lets its member read this study."""
    return decide(rule, record).allowed


def parse_rule(text: str) -> Rule:
    """The rule in this text.

    Raises:
        UsageError: not a rule; the message names the position (from 1) and what is expected.
    """
    plain = text.strip()
    if plain.lower() in ("all", "none"):
        return ALL if plain.lower() == "all" else NONE
    if not plain or len(text) > _LENGTH:
        raise UsageError(
            Phrase(
                "a read rule is all, none or conditions of 1 to %(most)s characters", most=_LENGTH
            )
        )
    return Rule(plain, alternatives=_Parser(text).alternatives())


def check_rule(role: Role, text: str) -> None:
    """Whether a member of this role may have the rule in this text.

    Raises:
        UsageError: not a rule, or a replica that shall read something.
    """
    if parse_rule(text) is not NONE and role is Role.REPLICA:
        raise UsageError(
            Phrase(
                "a replica reads nothing: it keeps sealed copies without their keys, so its read"
                " rule is none; who shall read is registered as a hospital"
            )
        )


def values_of(record: StudyRecord, keyword: str) -> list[str]:
    """What a study has of the attribute of this keyword; empty: it is not known to have any."""
    if keyword == "Modality":
        found = texts(record.attributes, "ModalitiesInStudy")
    else:
        found = texts(record.attributes, keyword)
    if tag(keyword) in SERIES_TAGS | PATIENT_TAGS:  # a series may be of another patient
        found = found + [
            one for series in record.series for one in texts(series.attributes, keyword)
        ]
    return found


class _Parser:
    """Reads one token at a time; ``at`` is the position of the next."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def alternatives(self) -> tuple[tuple[Condition, ...], ...]:
        found = [self._alternative()]
        while self._take("|"):
            found.append(self._alternative())
        if not self._ended():
            raise self._error(self._at, Phrase("expected , ; | or the end"))
        return tuple(found)

    def _alternative(self) -> tuple[Condition, ...]:
        found = [self._condition()]
        while self._take(";"):
            found.append(self._condition())
        return tuple(found)

    def _condition(self) -> Condition:
        start, keyword = self._word(Phrase("expected a DICOM keyword"))
        number = tag_for_keyword(keyword)
        if number is None or f"{number:08X}" not in _KEPT:
            raise self._error(
                start,
                Phrase(
                    "%(typed)s is no DICOM keyword of patient, study or series that is kept",
                    typed=repr(keyword),
                ),
            )
        if not self._take("="):
            raise self._error(self._at, Phrase("expected = after %(keyword)s", keyword=keyword))
        values = [self._value(keyword)]
        while self._take(","):
            values.append(self._value(keyword))
        return Condition(keyword, tuple(values))

    def _value(self, keyword: str) -> str:
        start, value = self._word(Phrase("expected a value for %(keyword)s", keyword=keyword))
        vr = dictionary_VR(keyword)
        if "\\" in value:
            separated = Phrase("several values are separated by commas, not by backslashes")
            raise self._error(start, separated)
        if vr == "SQ":
            no_value = Phrase(
                "%(keyword)s is a sequence: it has no value to compare", keyword=keyword
            )
            raise self._error(start, no_value)
        if vr in KINDS and bounds(vr, value) is None:
            no_time = Phrase(
                "%(typed)s is no date or time, nor a range (20260101-)", typed=repr(value)
            )
            raise self._error(start, no_time)
        if matcher(vr, value) is None:
            matches_all = Phrase(
                "%(typed)s matches every study: leave %(keyword)s out",
                typed=repr(value),
                keyword=keyword,
            )
            raise self._error(start, matches_all)
        return value

    def _word(self, missing: Phrase) -> tuple[int, str]:
        token = _TOKEN.match(self._text, self._at)
        if token is None or token["mark"]:
            raise self._error(self._at, missing)
        start = token.start(token.lastgroup or 0)
        word = token["bare"].strip() if token["bare"] else token["quoted"].replace('""', '"')
        if not word.strip():
            raise self._error(start, missing)
        self._at = token.end()
        return start, word

    def _take(self, mark: str) -> bool:
        token = _TOKEN.match(self._text, self._at)
        if token is None or token["mark"] != mark:
            return False
        self._at = token.end()
        return True

    def _ended(self) -> bool:
        return not self._text[self._at :].strip()

    def _error(self, at: int, what: Phrase) -> UsageError:
        at += len(self._text[at:]) - len(self._text[at:].lstrip())
        return UsageError(
            Phrase(
                "read rule, position %(position)s: %(wrong)s (for example %(example)s)",
                position=at + 1,
                wrong=what,
                example=_EXAMPLE,
            )
        )
