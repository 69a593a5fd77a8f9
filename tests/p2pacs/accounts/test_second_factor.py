from sqlalchemy import Connection

from p2pacs.accounts.one_time import RECOVERY_CODES, STEP, code_at
from p2pacs.accounts.people import Account, add_account, list_accounts, remove_account
from p2pacs.accounts.second_factor import (
    disable,
    enable,
    has_second_factor,
    recovery_codes_left,
    renew_recovery_codes,
    take_code,
)
from tests.p2pacs.accounts.conftest import CHEAP

SECRET = b"12345678901234567890"
NOW = 1_000_000
"""A half minute."""
AT = NOW * STEP * 1000


def test_a_code_is_taken_once_and_older_ones_no_more(connection: Connection) -> None:
    enable(connection, "anna", SECRET, NOW - 5)
    assert not take_code(connection, "anna", code_at(SECRET, NOW - 2), AT)
    shown = code_at(SECRET, NOW)
    assert take_code(connection, "anna", f" {shown[:3]} {shown[3:]}", AT)
    for step in (NOW - 1, NOW):
        assert not take_code(connection, "anna", code_at(SECRET, step), AT)
    assert take_code(connection, "anna", code_at(SECRET, NOW + 1), AT)
    assert not take_code(connection, "anna", code_at(SECRET, NOW + 1), AT + STEP * 1000)


def test_the_code_that_set_it_up_is_used(connection: Connection) -> None:
    enable(connection, "anna", SECRET, NOW)
    assert not take_code(connection, "anna", code_at(SECRET, NOW), AT)


def test_a_recovery_code_is_good_once_and_for_its_account(connection: Connection) -> None:
    codes = enable(connection, "anna", SECRET, NOW)
    enable(connection, "bert", SECRET, NOW)
    assert not take_code(connection, "bert", codes[0], AT)
    assert take_code(connection, "anna", codes[0].upper(), AT)
    assert not take_code(connection, "anna", codes[0], AT)
    assert recovery_codes_left(connection, "anna") == RECOVERY_CODES - 1
    fresh = renew_recovery_codes(connection, "anna")
    assert not take_code(connection, "anna", codes[1], AT)
    assert take_code(connection, "anna", fresh[1], AT)


def test_who_has_none_gets_nothing_by_a_code(connection: Connection) -> None:
    codes = enable(connection, "anna", SECRET, NOW - 5)
    assert has_second_factor(connection, "anna")
    assert disable(connection, "anna")
    assert not disable(connection, "anna")
    for code in (code_at(SECRET, NOW), codes[0], "", "0" * 1000):
        assert not take_code(connection, "anna", code, AT)


def test_an_account_of_the_same_name_does_not_inherit_it(connection: Connection) -> None:
    for name in ("root", "anna"):
        add_account(connection, name, "a sentence is good", "administrator", CHEAP)
    enable(connection, "anna", SECRET, NOW)
    assert list_accounts(connection)[0] == Account("anna", "administrator", second_factor=True)
    remove_account(connection, "anna")
    add_account(connection, "anna", "a sentence is good", "auditor", CHEAP)
    assert not has_second_factor(connection, "anna")
    assert recovery_codes_left(connection, "anna") == 0
