import pytest
from sqlalchemy import Connection, select

from p2pacs.accounts import known_places
from p2pacs.accounts.passwords import Passwords
from p2pacs.accounts.people import (
    Account,
    add_account,
    has_account,
    list_accounts,
    remove_account,
    set_password,
    set_role,
    stored_hash,
)
from p2pacs.accounts.sessions import Sessions
from p2pacs.accounts.tables import accounts
from p2pacs.errors import NotFoundError, StateError, UsageError
from tests.p2pacs.accounts.conftest import CHEAP

PASSWORD = "a password of some length"


def test_passwords_are_argon2id_hashes(connection: Connection) -> None:
    add_account(connection, "admin", PASSWORD, "administrator")
    set_password(connection, "admin", PASSWORD + "!")
    (row,) = connection.execute(select(accounts)).all()
    assert row.password_hash.startswith("$argon2id$v=19$m=65536,t=3,")
    assert stored_hash(connection, "admin") == row.password_hash
    assert stored_hash(connection, "root") is None
    assert Passwords().matches(row.password_hash, PASSWORD + "!")


def test_whoever_is_signed_in_with_an_old_password_is_no_more(connection: Connection) -> None:
    sessions = Sessions(idle=1000, longest=1000, clock=lambda: 0)
    add_account(connection, "admin", PASSWORD, "administrator", CHEAP)
    token = sessions.start(connection, "admin")
    set_password(connection, "admin", PASSWORD + "!", CHEAP)
    assert sessions.find(connection, token) is None


def test_who_leaves_is_signed_out_and_known_no_more(connection: Connection) -> None:
    sessions = Sessions(idle=1000, longest=1000, clock=lambda: 0)
    for name in ("b", "a"):
        add_account(connection, name, PASSWORD, "administrator", CHEAP)
    assert [one.name for one in list_accounts(connection)] == ["a", "b"]
    known_places.remember(connection, "a", b"here", 0)
    token = sessions.start(connection, "a")
    remove_account(connection, "a")
    assert sessions.find(connection, token) is None
    assert not has_account(connection, "a")
    assert not known_places.is_known(connection, b"here", 0)
    with pytest.raises(NotFoundError):
        remove_account(connection, "a")


def test_one_administrator_stays(connection: Connection) -> None:
    add_account(connection, "anna", PASSWORD, "administrator", CHEAP)
    add_account(connection, "rita", PASSWORD, "radiologist", CHEAP)
    with pytest.raises(StateError, match="add another"), connection.begin_nested():
        remove_account(connection, "anna")
    with pytest.raises(StateError, match="add another"), connection.begin_nested():
        set_role(connection, "anna", "radiologist")
    set_role(connection, "rita", "administrator")
    set_role(connection, "anna", "radiologist")
    assert list_accounts(connection) == [
        Account("anna", "radiologist"),
        Account("rita", "administrator"),
    ]


def test_the_first_account_may_have_any_role(connection: Connection) -> None:
    add_account(connection, "rita", PASSWORD, "radiologist", CHEAP)
    set_password(connection, "rita", PASSWORD, CHEAP)


def test_what_is_there_is_not_made_and_what_is_not_is_not_changed(connection: Connection) -> None:
    add_account(connection, "anna", PASSWORD, "administrator", CHEAP)
    with pytest.raises(StateError, match="already"):
        add_account(connection, "anna", PASSWORD, "auditor", CHEAP)
    with pytest.raises(NotFoundError):
        set_password(connection, "bert", PASSWORD, CHEAP)
    with pytest.raises(NotFoundError):
        set_role(connection, "bert", "auditor")
    with pytest.raises(UsageError):
        add_account(connection, "bert", "short", "auditor", CHEAP)
