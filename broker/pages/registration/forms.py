"""Forms: what was typed, what is wrong with it, what it means."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeVar

from attrs import field, frozen
from pydantic import TypeAdapter, ValidationError

from broker.members.corrections import Correction
from broker.members.registry import Member, Registration
from broker.registration.fields import (
    FIELDS,
    check_fields,
    check_name_role_and_rates,
    wrong_by_field,
)
from broker.registration.join_command import JoinPlan, usual_plan
from p2pacs.errors import UsageError
from p2pacs.pages.forms import sentence, text_of
from p2pacs.phrases import Phrase
from p2pacs.settings import AeTitleField
from p2pacs.settings.reading import complaints
from p2pacs.units import Endpoint, format_rate

T = TypeVar("T")

_AE_TITLE: Final[TypeAdapter[str]] = TypeAdapter(AeTitleField)


@frozen
class Filled:
    """The form as it was filled in; shown again if something is wrong."""

    values: Mapping[str, str]
    wrong: Mapping[str, str] = field(factory=dict)
    """What is wrong, by field."""
    registration: Registration | None = None
    """None if anything is wrong."""


BLANK: Final = Filled(dict.fromkeys(FIELDS, "") | {"role": "hospital"})


def read_registration(form: Mapping[str, object]) -> Filled:
    """Check the form; every wrong field is named at once."""
    values = {name: text_of(form, name) for name in FIELDS}
    registration, wrong = check_fields(values)
    return Filled(values, _sentences(wrong), registration)


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
    role, rates, wrong = check_name_role_and_rates(values)
    if wrong or role is None:
        return Corrected(values, _sentences(wrong))
    return Corrected(values, {}, Correction(values["name"], role, *rates))


def _sentences(wrong: Mapping[str, str]) -> dict[str, str]:
    return {name: sentence(said) for name, said in wrong.items()}


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
        raise UsageError(complaints(error)) from error


def _workstations(text: str) -> tuple[tuple[str, Endpoint], ...]:
    return tuple(_workstation(one) for one in text.replace(",", " ").split())


def _workstation(text: str) -> tuple[str, Endpoint]:
    aet, equals, where = text.partition("=")
    if not equals:
        raise UsageError(
            Phrase("not a workstation: %(typed)s (write it as AET=HOST:PORT)", typed=repr(text))
        )
    return _ae_title(aet), Endpoint.parse(where)


def said_by_field(error: UsageError) -> dict[str, str]:
    """An error of the registry as sentences at the fields of the form."""
    return _sentences(wrong_by_field(error))


def version_of(form: Mapping[str, object]) -> int:
    """The version of the member that was shown with the form; -1 (no member's) if it is none."""
    text = text_of(form, "version")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1
