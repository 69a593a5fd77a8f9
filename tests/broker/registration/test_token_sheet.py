from attrs import evolve

from broker.registration.token_sheet import token_sheet
from tests.broker.pages.registration.test_forms import MEMBER


def test_tokens_stand_beside_their_members_and_no_name_is_a_formula() -> None:
    made = [(evolve(MEMBER, name="=1+1", token_expires=0), "T0KEN")]
    assert token_sheet(made) == (
        "name,role,address,token,good until\n"
        f"'=1+1,hospital,{MEMBER.address},T0KEN,1970-01-01T00:00:00Z\n"
    )
