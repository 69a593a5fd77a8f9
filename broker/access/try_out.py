"""Trying out access rules: may a member read a study, and what would a rule allow."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from attrs import field, frozen

from broker.access.rules import Decision, Rule, allows, decide_for, parse_rule
from p2pacs.catalogue.records import StudyRecord
from p2pacs.identity.directory import Role

SHOWN: Final = 20
"""Studies that are shown of those that a rule allows."""

LOOKED: Final = 20_000
"""Studies that a rule is tried on: about a second of a worker thread."""


def decide_member(
    role: Role,
    read: str,
    record: StudyRecord,
    *,
    revoked: bool,
    addressed_by: str | None = None,
) -> Decision:
    """Whether a member may read a study as its rule is now, and why: see `decide_for`.

    Raises:
        UsageError: its rule is none of this version.
    """
    return decide_for(role, parse_rule(read), record, revoked=revoked, addressed_by=addressed_by)


@frozen
class RuleReach:
    """How far a rule reaches."""

    allowed: int
    looked: int
    """Studies that it was tried on."""
    first: list[StudyRecord] = field(repr=False)
    """The first of those that it allows."""
    more: bool
    """Whether there are studies that it was not tried on."""


def reach_of(rule: Rule, records: Iterable[StudyRecord], most: int = LOOKED) -> RuleReach:
    """Try a rule on studies, the first ``most`` of them. Reads an index: for a worker thread."""
    allowed, looked, first = 0, 0, list[StudyRecord]()
    for record in records:
        if looked == most:
            return RuleReach(allowed, looked, first, more=True)
        looked += 1
        if allows(rule, record):
            allowed += 1
            if len(first) < SHOWN:
                first.append(record)
    return RuleReach(allowed, looked, first, more=False)
