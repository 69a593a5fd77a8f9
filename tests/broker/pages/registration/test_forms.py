import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from broker.members.corrections import Correction
from broker.members.registry import Member
from broker.pages.registration.forms import (
    BLANK,
    PLAN_FIELDS,
    read_correction,
    read_plan,
    read_registration,
    sentence,
    show_correction,
    version_of,
)
from broker.registration.fields import FIELDS
from broker.registration.join_command import PROGRAM, join_command, usual_plan
from p2pacs.identity.directory import Role
from p2pacs.ids import VirtualAddress
from p2pacs.settings import LineSettings
from p2pacs.units import Endpoint

MEMBER = Member(
    address=VirtualAddress(b"\xfd" + bytes(15)),
    name="North",
    role=Role.HOSPITAL,
    uplink=800_000,
    downlink=None,
    read="all",
    read_version=0,
    registered=0,
    token_expires=None,
    joined=None,
    key_hash=None,
    box_key=None,
    endpoints=(),
    certificate_expires=None,
    linked=False,
    last_seen=None,
    revoked=None,
)

GOOD = {
    "name": " North ",
    "role": "replica",
    "uplink": "",
    "downlink": "3mbit",
    "read": "none",
    "send": "",
}


def test_a_good_form() -> None:
    made = read_registration(GOOD).registration
    assert made is not None
    assert (made.name, made.role, made.uplink, made.downlink, made.read) == (
        "North",
        Role.REPLICA,
        None,
        3_000_000,
        "none",
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("name", ""),
        ("role", "broker"),
        ("uplink", "-1kbit"),
        ("downlink", "much"),
        ("read", "Color=red"),
    ],
)
def test_what_is_wrong_is_named_by_field(name: str, value: str) -> None:
    filled = read_registration(GOOD | {name: value})
    assert filled.registration is None
    assert set(filled.wrong) == {name}
    assert filled.wrong[name].endswith(".") or filled.wrong[name].endswith(")")


def test_all_that_is_wrong_is_named_at_once() -> None:
    wrong = {
        "name": "",
        "role": "x",
        "uplink": "fast",
        "downlink": "0",
        "read": "Color=red",
        "send": "A,,B",
    }
    assert set(read_registration(wrong).wrong) == set(wrong)
    correction = {name: wrong[name] for name in ("name", "role", "uplink", "downlink")}
    assert set(read_correction(correction, MEMBER).wrong) == set(correction)


@pytest.mark.parametrize(("role", "read"), [("hospital", "all"), ("replica", "none")])
def test_an_empty_rule_is_the_usual_one_of_the_role(role: str, read: str) -> None:
    made = read_registration(GOOD | {"role": role, "read": ""}).registration
    assert made is not None
    assert made.read == read


@pytest.mark.parametrize("read", ["all", "Modality=CT"])
def test_a_replica_is_given_no_rule_by_the_form(read: str) -> None:
    filled = read_registration(GOOD | {"read": read})
    assert filled.registration is None
    assert set(filled.wrong) == {"read"}
    assert filled.wrong["read"].startswith("A replica reads nothing")


@pytest.mark.parametrize("rate", ["800", "800000", "800kbit", "fast", "0"])
def test_a_rate_is_the_same_in_a_form_and_in_toml(rate: str) -> None:
    filled = read_registration(GOOD | {"uplink": rate})
    try:
        uplink = LineSettings.model_validate(
            {"uplink": int(rate) if rate.isdigit() else rate}
        ).uplink
    except ValidationError as error:
        said = error.errors()[0]["msg"].removeprefix("Value error, ")
        assert filled.wrong == {"uplink": sentence(said)}
    else:
        assert filled.registration is not None
        assert filled.registration.uplink == uplink


def test_a_correction_starts_from_what_is() -> None:
    filled = read_correction({}, MEMBER)
    assert filled.wanted == Correction("North", Role.HOSPITAL, 800_000, None)
    assert show_correction(MEMBER).values == {
        "name": "North",
        "role": "hospital",
        "uplink": "800kbit",
        "downlink": "",
    }
    filled = read_correction({"name": "South", "uplink": "", "role": "replica"}, MEMBER)
    assert filled.wanted == Correction("South", Role.REPLICA, None, None)
    assert set(read_correction({"downlink": "fast", "role": "king"}, MEMBER).wrong) == {
        "downlink",
        "role",
    }


def test_a_plan_is_the_usual_one_until_something_is_said() -> None:
    planned = read_plan({}, MEMBER)
    assert planned.plan == usual_plan("North", Role.HOSPITAL)
    assert planned.values["dicom"] == "0.0.0.0:11112"
    assert planned.values["aet"] == "NORTH"
    filled = {
        "listen": "10.0.0.1:1",
        "advertise": "a.example:1, 10.0.0.1:2",
        "aet": "PACS 1",
        "dicom": "10.0.0.1:104",
        "workstations": "VIEWER=10.0.0.2:104",
    }
    plan = read_plan(filled, MEMBER).plan
    assert plan.advertise == (Endpoint("a.example", 1), Endpoint("10.0.0.1", 2))
    assert (plan.aet, plan.dicom) == ("PACS 1", Endpoint("10.0.0.1", 104))
    assert plan.workstations == (("VIEWER", Endpoint("10.0.0.2", 104)),)
    assert read_plan(filled | {"dicom": "", "aet": ""}, MEMBER).plan.dicom is None


@given(st.dictionaries(st.sampled_from(PLAN_FIELDS), st.text(max_size=20)))
def test_any_plan_gives_commands_or_says_what_is_wrong(form: dict[str, str]) -> None:
    planned = read_plan(form, MEMBER)
    words = shlex.split(join_command("token", planned.plan))
    assert words[: len(PROGRAM)] == list(PROGRAM)
    assert words[-2:] == ["token", "TOKEN"]
    assert set(planned.wrong) <= set(form) | {"listen", "aet"}


@pytest.mark.parametrize(("text", "version"), [("7", 7), ("", -1), ("-2", -1), ("9" * 20, -1)])
def test_versions_of_forms(text: str, version: int) -> None:
    assert version_of({"version": text}) == version


@given(st.dictionaries(st.sampled_from(FIELDS), st.text(max_size=20)))
def test_any_form_is_registered_or_wrong(form: dict[str, str]) -> None:
    filled = read_registration(form)
    assert (filled.registration is None) == bool(filled.wrong)


def test_the_blank_form_has_every_field() -> None:
    assert set(BLANK.values) == set(FIELDS)


def test_sentences() -> None:
    assert sentence("not a rate") == "Not a rate."
    assert sentence("Done!") == "Done!"
