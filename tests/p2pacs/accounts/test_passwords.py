import pytest
from sqlalchemy import Connection, select

from p2pacs.accounts.passwords import Passwords, check_account, set_password, stored_hash
from p2pacs.accounts.sessions import Sessions
from p2pacs.accounts.tables import accounts
from p2pacs.errors import UsageError
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
