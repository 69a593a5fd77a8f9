"""Forms: what was typed, what is wrong with it, what it means."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeVar

from attrs import field, frozen
from pydantic import TypeAdapter, ValidationError

from broker.members.access import check_rule
from broker.members.corrections import Correction
from broker.members.join_command import JoinPlan, usual_plan
from broker.members.registry import Member, Registration, default_read, plain_name
from p2pacs.errors import UsageError
from p2pacs.identity.directory import Role
from p2pacs.pages.forms import sentence, text_of
from p2pacs.settings import AeTitleField
from p2pacs.units import Endpoint, format_rate, parse_rate

T = TypeVar("T")

_AE_TITLE: Final[TypeAdapter[str]] = TypeAdapter(AeTitleField)

FIELDS: Final = ("name", "role", "uplink", "downlink", "read")


@frozen
class Filled:
    """The form as it was filled in; shown again if something is wrong."""

    values: Mapping[str, str]
    wrong: Mapping[str, str] = field(factory=dict)
    """What is wrong, by field."""
    registration: Registration | None = None
    """None if anything is wrong."""


BLANK: Final = Filled({"name": "", "role": "hospital", "uplink": "", "downlink": "", "read": ""})


def read_registration(form: Mapping[str, object]) -> Filled:
    """Check the form; every wrong field is named at once."""
    values = {name: text_of(form, name) for name in FIELDS}
    role, rates, wrong = _name_role_and_rates(values)
    read = values["read"] or default_read(role or Role.HOSPITAL)
    try:
        check_rule(role or Role.HOSPITAL, read)
    except UsageError as error:
        wrong["read"] = sentence(str(error))
    if wrong or role is None:
        return Filled(values, wrong)
    try:
        made = Registration(values["name"], role, *rates, read)
    except UsageError as error:
        return Filled(values, wrong_by_field(error))
    return Filled(values, {}, made)


@frozen
class Corrected:
    """The form with which a member is corrected, as it was filled in."""

    values: Mapping[str, str]
    wrong: Mapping[str, str] = field(factory=dict)
    wanted: Correction | None = None


def show_correction(member: Member) -> Corrected:
    """The form as it is before anybody has typed."""
    values = {"name": member.name, "role": member.role.value}
    rates = {"uplink": member.uplink, "downlink": member.downlink}
    values |= {name: format_rate(rate) if rate else "" for name, rate in rates.items()}
    return Corrected(values)


def read_correction(form: Mapping[str, object], member: Member) -> Corrected:
    """Check the form; fields that it does not have (the member has joined) stay as they are."""
    values = dict(show_correction(member).values)
    values |= {name: text_of(form, name) for name in values if name in form}
    role, rates, wrong = _name_role_and_rates(values)
    if wrong or role is None:
        return Corrected(values, wrong)
    return Corrected(values, {}, Correction(values["name"], role, *rates))


def _name_role_and_rates(
    values: Mapping[str, str],
) -> tuple[Role | None, tuple[int | None, int | None], dict[str, str]]:
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
            wrong[name] = sentence(str(error))
    role = Role(values["role"]) if values["role"] in (Role.HOSPITAL, Role.REPLICA) else None
    if role is None:
        wrong["role"] = "Choose hospital or replica."
    return role, (rates["uplink"], rates["downlink"]), wrong


PLAN_FIELDS: Final = ("listen", "advertise", "aet", "dicom", "workstations", "web")


@frozen
class Planned:
    """What the commands of a token page shall say, as it was filled in."""

    values: Mapping[str, str]
    wrong: Mapping[str, str]
    plan: JoinPlan


def read_plan(form: Mapping[str, object], member: Member) -> Planned:
    """Check the form; what is wrong in it stands in the commands as it usually is."""
    usual = usual_plan(member.name, member.role)
    if not any(name in form for name in PLAN_FIELDS):
        return Planned(_plan_values(usual), {}, usual)
    values = {name: text_of(form, name) for name in PLAN_FIELDS}
    wrong: dict[str, str] = {}

    def checked(name: str, parse: Callable[[str], T], instead: T) -> T:
        try:
            return parse(values[name])
        except UsageError as error:
            wrong[name] = sentence(str(error))
            return instead

    plan = JoinPlan(
        listen=checked("listen", Endpoint.parse, usual.listen),
        advertise=checked("advertise", _endpoints, ()),
        aet=checked("aet", _ae_title, usual.aet) if values["dicom"] else "",
        dicom=checked("dicom", _endpoint_or_none, usual.dicom),
        workstations=checked("workstations", _workstations, ()),
        web=checked("web", _endpoint_or_none, usual.web),
    )
    return Planned(values, wrong, plan)


def _plan_values(plan: JoinPlan) -> dict[str, str]:
    return {
        "listen": str(plan.listen),
        "advertise": " ".join(map(str, plan.advertise)),
        "aet": plan.aet,
        "dicom": "" if plan.dicom is None else str(plan.dicom),
        "web": "" if plan.web is None else str(plan.web),
        "workstations": " ".join(f"{aet}={where}" for aet, where in plan.workstations),
    }


def _endpoints(text: str) -> tuple[Endpoint, ...]:
    return tuple(Endpoint.parse(one) for one in text.replace(",", " ").split())


def _endpoint_or_none(text: str) -> Endpoint | None:
    return Endpoint.parse(text) if text else None


def _ae_title(text: str) -> str:
    try:
        return _AE_TITLE.validate_python(text)
    except ValidationError as error:
        said = error.errors(include_url=False, include_input=False)[0]["msg"]
        raise UsageError(said.removeprefix("Value error, ")) from error


def _workstations(text: str) -> tuple[tuple[str, Endpoint], ...]:
    return tuple(_workstation(one) for one in text.replace(",", " ").split())


def _workstation(text: str) -> tuple[str, Endpoint]:
    aet, equals, where = text.partition("=")
    if not equals:
        raise UsageError(f"not a workstation: {text!r} (write it as AET=HOST:PORT)")
    return _ae_title(aet), Endpoint.parse(where)


def wrong_by_field(error: UsageError) -> dict[str, str]:
    """An error of the registry that begins with ``field: ``."""
    name, _, said = str(error).partition(": ")
    return {name: sentence(said)} if name in FIELDS else {"form": sentence(str(error))}


def version_of(form: Mapping[str, object]) -> int:
    """The version of the member that was shown with the form; -1 (no member's) if it is none."""
    text = text_of(form, "version")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1
