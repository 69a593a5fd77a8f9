import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.pages.forms import BLANK, FIELDS, read_registration, sentence
from p2pacs.identity.directory import Role

GOOD = {"name": " North ", "role": "replica", "uplink": "", "downlink": "3mbit", "read": "none"}


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
        ("read", ""),
        ("read", "Color=red"),
    ],
)
def test_what_is_wrong_is_named_by_field(name: str, value: str) -> None:
    filled = read_registration(GOOD | {name: value})
    assert filled.registration is None
    assert set(filled.wrong) == {name}
    assert filled.wrong[name].endswith(".") or filled.wrong[name].endswith(")")


@given(st.dictionaries(st.sampled_from(FIELDS), st.text(max_size=20)))
def test_any_form_is_registered_or_wrong(form: dict[str, str]) -> None:
    filled = read_registration(form)
    assert (filled.registration is None) == bool(filled.wrong)


def test_the_blank_form_has_every_field() -> None:
    assert set(BLANK.values) == set(FIELDS)


def test_sentences() -> None:
    assert sentence("not a rate") == "Not a rate."
    assert sentence("Done!") == "Done!"
