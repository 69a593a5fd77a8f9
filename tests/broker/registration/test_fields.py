from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.members.registry import Registration
from broker.registration.fields import FIELDS, check_fields, wrong_by_field
from p2pacs.errors import UsageError
from p2pacs.identity.directory import Role

GOOD = {
    "name": "North",
    "role": "hospital",
    "uplink": "8mbit",
    "downlink": "",
    "read": "",
    "send": "",
}


def test_what_is_empty_has_a_meaning() -> None:
    said = Registration("North", Role.HOSPITAL, 8_000_000, None, "all")
    assert check_fields(GOOD) == (said, {})
    replica, wrong = check_fields({**GOOD, "role": "replica"})
    assert not wrong
    assert replica is not None
    assert replica.read == "none"


@pytest.mark.parametrize(
    ("typed", "fields"),
    [
        ({"name": ""}, {"name"}),
        ({"name": "N\x07"}, {"name"}),
        ({"role": "broker"}, {"role"}),
        ({"uplink": "fast"}, {"uplink"}),
        ({"uplink": "0"}, {"uplink"}),
        ({"downlink": "-1"}, {"downlink"}),
        ({"read": "Modality"}, {"read"}),
        ({"role": "replica", "read": "all"}, {"read"}),
        ({"send": "X" * 17}, {"send"}),
        ({"role": "replica", "send": "CT1"}, {"send"}),
        (
            {
                "name": " ",
                "role": "",
                "uplink": "x",
                "downlink": "x",
                "read": "x",
                "send": "X" * 17,
            },
            set(FIELDS),
        ),
    ],
)
def test_everything_that_is_wrong_is_said_at_once(typed: dict[str, str], fields: set[str]) -> None:
    registration, wrong = check_fields({**GOOD, **typed})
    assert registration is None
    assert set(wrong) == fields
    assert all(wrong.values())


def test_an_error_about_no_field_stands_over_the_form() -> None:
    assert wrong_by_field(UsageError("the network is full")) == {"form": "the network is full"}


@given(st.fixed_dictionaries(dict.fromkeys(FIELDS, st.text(max_size=40))))
def test_anything_typed_is_a_registration_or_wrong(typed: dict[str, Any]) -> None:
    registration, wrong = check_fields(typed)
    assert (registration is None) == bool(wrong)
    assert set(wrong) <= {*FIELDS, "form"}
