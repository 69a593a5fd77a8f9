import pytest
from sqlalchemy import Connection, select

from p2pacs.accounts import known_places
from p2pacs.accounts.passwords import (
    Passwords,
    check_account,
    list_accounts,
    remove_account,
    set_password,
    stored_hash,
)
from p2pacs.accounts.sessions import Sessions
from p2pacs.accounts.tables import accounts
from p2pacs.errors import NotFoundError, StateError, UsageError
from tests.p2pacs.accounts.conftest import CHEAP

PASSWORD = "a password of some length"


def test_passwords_are_argon2id_hashes(connection: Connection) -> None:
    set_password(connection, "admin", PASSWORD)
    set_password(connection, "admin", PASSWORD + "!")
    (row,) = connection.execute(select(accounts)).all()
    assert row.password_hash.startswith("$argon2id$v=19$m=65536,t=3,")
    assert stored_hash(connection, "admin") == row.password_hash
    assert stored_hash(connection, "root") is None
    assert Passwords().matches(row.password_hash, PASSWORD + "!")


def test_whoever_is_signed_in_with_an_old_password_is_no_more(connection: Connection) -> None:
    sessions = Sessions(idle=1000, longest=1000, clock=lambda: 0)
    set_password(connection, "admin", PASSWORD, CHEAP)
    token = sessions.start(connection, "admin")
    set_password(connection, "admin", PASSWORD + "!", CHEAP)
    assert sessions.find(connection, token) is None


def test_who_leaves_is_signed_out_and_known_no_more(connection: Connection) -> None:
    sessions = Sessions(idle=1000, longest=1000, clock=lambda: 0)
    assert [set_password(connection, name, PASSWORD, CHEAP) for name in ("b", "a", "a")] == [
        True,
        True,
        False,
    ]
    assert list_accounts(connection) == ["a", "b"]
    known_places.remember(connection, "a", b"here", 0)
    token = sessions.start(connection, "a")
    remove_account(connection, "a")
    assert sessions.find(connection, token) is None
    assert stored_hash(connection, "a") is None
    assert not known_places.is_known(connection, b"here", 0)
    with pytest.raises(NotFoundError):
        remove_account(connection, "a")
    with pytest.raises(StateError, match="add somebody else first"):
        remove_account(connection, "b")


def test_nobody_has_no_password() -> None:
    assert not CHEAP.matches(None, "nobody's password")
    assert not CHEAP.matches("no hash", PASSWORD)


@pytest.mark.parametrize(
    ("name", "password"),
    [("", PASSWORD), (" a", PASSWORD), ("a\n", PASSWORD), ("a", "short"), ("a", "x" * 1025)],
)
def test_accounts_that_cannot_be(name: str, password: str) -> None:
    with pytest.raises(UsageError):
        check_account(name, password)
