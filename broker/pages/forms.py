"""The registration form: what was typed, what is wrong with it, what it means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from attrs import field, frozen

from broker.members.access import parse_rule
from broker.members.registry import Registration
from p2pacs.errors import UsageError
from p2pacs.identity.directory import Role
from p2pacs.units import parse_rate

FIELDS: Final = ("name", "role", "uplink", "downlink", "read")


@frozen
class Filled:
    """The form as it was filled in; shown again if something is wrong."""

    values: Mapping[str, str]
    wrong: Mapping[str, str] = field(factory=dict)
    """What is wrong, by field."""
    registration: Registration | None = None
    """None if anything is wrong."""


BLANK: Final = Filled({"name": "", "role": "hospital", "uplink": "", "downlink": "", "read": "all"})


def read_registration(form: Mapping[str, object]) -> Filled:
    """Check the form; every wrong field is named at once."""
    values = {name: text_of(form, name) for name in FIELDS}
    wrong: dict[str, str] = {}
    rates: dict[str, int | None] = {}
    for name in ("uplink", "downlink"):
        try:
            rates[name] = parse_rate(values[name]) if values[name] else None
        except UsageError as error:
            wrong[name] = sentence(str(error))
    try:
        parse_rule(values["read"])
    except UsageError as error:
        wrong["read"] = sentence(str(error))
    if values["role"] not in (Role.HOSPITAL, Role.REPLICA):
        wrong["role"] = "Choose hospital or replica."
    if wrong:
        return Filled(values, wrong)
    role, read = Role(values["role"]), values["read"]
    try:
        made = Registration(values["name"], role, rates["uplink"], rates["downlink"], read)
    except UsageError as error:
        return Filled(values, wrong_by_field(error))
    return Filled(values, {}, made)


def wrong_by_field(error: UsageError) -> dict[str, str]:
    """An error of the registry that begins with ``field: ``."""
    name, _, said = str(error).partition(": ")
    return {name: sentence(said)} if name in FIELDS else {"form": sentence(str(error))}


def text_of(form: Mapping[str, object], name: str) -> str:
    """A text field; anything else (a file) counts as empty."""
    value = form.get(name)
    return value.strip() if isinstance(value, str) else ""


def sentence(text: str) -> str:
    """A message of the error tree as a sentence on a page."""
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")
