from attrs import evolve

from broker.pages.registration.shown_tokens import SHOWN, ShownTokens
from p2pacs.accounts.sessions import Session
from p2pacs.ids import VirtualAddress
from tests.broker.pages.registration.test_forms import MEMBER

ANNA, BOB = Session("anna", "a"), Session("bob", "b")
NORTH = evolve(MEMBER, token_expires=1000)


def test_a_token_is_shown_to_who_made_it_for_a_while() -> None:
    tokens = ShownTokens()
    tokens.keep(ANNA, NORTH, "T0KEN", at=0)
    assert tokens.find(ANNA, NORTH, at=0) == tokens.find(ANNA, NORTH, at=SHOWN - 1) == "T0KEN"
    assert tokens.find(BOB, NORTH, at=0) is None
    assert tokens.find(ANNA, NORTH, at=SHOWN) is None
    assert tokens.find(ANNA, NORTH, at=0) is None


def test_a_token_that_is_used_replaced_or_put_away_is_shown_no_more() -> None:
    tokens = ShownTokens()
    for expires in (None, 2000):
        tokens.keep(ANNA, NORTH, "T0KEN", at=0)
        assert tokens.find(ANNA, evolve(NORTH, token_expires=expires), at=1) is None
    tokens.keep(ANNA, NORTH, "T0KEN", at=0)
    tokens.forget(ANNA, NORTH.address)
    assert tokens.find(ANNA, NORTH, at=1) is None


def test_few_are_kept_and_none_is_printed() -> None:
    tokens = ShownTokens(most=64)
    members = [
        evolve(NORTH, address=VirtualAddress(b"\xfd" + bytes(14) + bytes([number])))
        for number in range(100)
    ]
    for member in members:
        tokens.keep(ANNA, member, "T0KEN", at=0)
    assert sum(tokens.find(ANNA, member, at=0) is not None for member in members) == 64
    assert tokens.addresses(ANNA) == [member.address for member in members[36:]]
    assert tokens.addresses(BOB) == []
    assert "T0KEN" not in repr(tokens._shown)
