"""The form that searches the audit trail: what was typed, what is wrong with it, what it means."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from attrs import field, frozen

from broker.pages.trail.trail_words import OUTCOMES
from broker.trail.search import TrailSearch
from p2pacs.errors import UsageError
from p2pacs.ids import StudyId
from p2pacs.languages import _
from p2pacs.limits import TEXT
from p2pacs.pages.forms import sentence, text_of

FIELDS: Final = ("since", "until", "member", "person", "what", "outcome", "uid", "study")

_MINUTE: Final = timedelta(minutes=1)


@frozen
class TrailForm:
    """The form as it was filled in."""

    values: Mapping[str, str] = field(repr=False)
    wrong: Mapping[str, str] = field(factory=dict)
    """What is wrong, by field."""
    search: TrailSearch = field(factory=TrailSearch)


def read_trail_form(form: Mapping[str, object]) -> TrailForm:
    """Check the form; every wrong field is named at once. Times are UTC, to the minute, and both
    ends count."""
    values = {name: text_of(form, name)[: TEXT + 1] for name in FIELDS}
    wrong: dict[str, str] = {}
    for name in ("member", "person", "what", "uid"):
        if len(values[name]) > TEXT:
            wrong[name] = _("At most %(count)s characters.", count=TEXT)
    since, until = (_moment(values[name], name, wrong) for name in ("since", "until"))
    if since is not None and until is not None and since > until:
        wrong["until"] = _("The end is before the beginning.")
    if values["outcome"] not in ("", *OUTCOMES):
        wrong["outcome"] = _("Choose one that is offered.")
    study = None
    try:
        study = StudyId.parse(values["study"]) if values["study"] else None
    except UsageError as error:
        wrong["study"] = sentence(str(error))
    if wrong:
        return TrailForm(values, wrong)
    search = TrailSearch(
        since=None if since is None else _milliseconds(since),
        until=None if until is None else _milliseconds(until + _MINUTE),
        member=values["member"],
        person=values["person"],
        what=values["what"],
        uid=values["uid"],
        study=study,
        outcome=values["outcome"],
    )
    return TrailForm(values, {}, search)


def _moment(text: str, name: str, wrong: dict[str, str]) -> datetime | None:
    """``2024-01-31T10:00`` as browsers send it, or a date alone: from its first minute to its
    last."""
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        wrong[name] = _("Write a time as 2024-01-31 10:00.")
        return None
    if not 1970 <= found.year <= 9000:
        wrong[name] = _("Choose a year that can be.")
        return None
    if len(text) == len("2024-01-31") and name == "until":
        found += timedelta(days=1) - _MINUTE
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
