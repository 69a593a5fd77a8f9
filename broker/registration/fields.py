"""What is typed of a new member, field by field: what it means, and what is wrong with it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from broker.access.rules import check_rule
from broker.access.send_rules import parse_send_rule
from broker.members.registry import Registration, default_read, default_send, plain_name
from p2pacs.errors import UsageError
from p2pacs.identity.directory import Role
from p2pacs.phrases import Phrase
from p2pacs.units import parse_rate

FIELDS: Final = ("name", "role", "uplink", "downlink", "read", "send")


def check_fields(values: Mapping[str, str]) -> tuple[Registration | None, dict[str, str]]:
    """The registration that is meant, or None; and what is wrong, by field: all at once.

    Args:
        values: by the names in `FIELDS`; an empty rate is no limit, an empty rule the usual one.
    """
    role, rates, wrong = check_name_role_and_rates(values)
    read = values["read"] or default_read(role or Role.HOSPITAL)
    try:
        check_rule(role or Role.HOSPITAL, read)
    except UsageError as error:
        wrong["read"] = str(error)
    send = values["send"] or default_send(role or Role.HOSPITAL)
    try:
        send = str(parse_send_rule(send))
    except UsageError as error:
        wrong["send"] = str(error)
    if wrong or role is None:
        return None, wrong
    try:
        return Registration(values["name"], role, *rates, read, send), {}
    except UsageError as error:
        return None, wrong_by_field(error)


def check_name_role_and_rates(
    values: Mapping[str, str],
) -> tuple[Role | None, tuple[int | None, int | None], dict[str, str]]:
    """Role, uplink and downlink; and what is wrong, by field."""
    wrong: dict[str, str] = {}
    try:
        plain_name(values["name"])
    except UsageError as error:
        wrong |= wrong_by_field(error)
    rates: dict[str, int | None] = {"uplink": None, "downlink": None}
    for name in rates:
        try:
            rates[name] = parse_rate(values[name]) if values[name] else None
        except UsageError as error:
            wrong[name] = str(error)
    role = Role(values["role"]) if values["role"] in (Role.HOSPITAL, Role.REPLICA) else None
    if role is None:
        wrong["role"] = Phrase("choose hospital or replica")
    return role, (rates["uplink"], rates["downlink"]), wrong


def wrong_by_field(error: UsageError) -> dict[str, str]:
    """What is wrong, by the field that an error of the registry is about; else by ``form``."""
    told = str(error)
    if isinstance(told, Phrase) and (name := told.values.get("field")) in FIELDS:
        return {str(name): str(told.values["why"])}
    return {"form": told}
