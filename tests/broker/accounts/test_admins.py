from pathlib import Path

import pytest
from sqlalchemy import Connection, select

from broker.accounts.admins import Accounts, set_password
from broker.database.db import BrokerDatabase
from broker.database.schema import admins
from p2pacs.errors import AuthenticationError, UsageError

PASSWORD = "a password of some length"


def test_passwords_are_argon2id_hashes(connection: Connection) -> None:
    set_password(connection, "admin", PASSWORD)
    set_password(connection, "admin", PASSWORD + "!")
    (row,) = connection.execute(select(admins)).all()
    assert row.password_hash.startswith("$argon2id$v=19$m=65536,t=3,")


@pytest.mark.parametrize(
    ("name", "password"),
    [("", PASSWORD), (" a", PASSWORD), ("a\n", PASSWORD), ("a", "short"), ("a", "x" * 1025)],
)
def test_accounts_that_cannot_be(connection: Connection, name: str, password: str) -> None:
    with pytest.raises(UsageError):
        set_password(connection, name, password)


async def test_signing_in(database: BrokerDatabase, tmp_path: Path) -> None:
    await database.run(lambda c: set_password(c, "admin", PASSWORD))
    accounts = Accounts(database)
    await accounts.sign_in("admin", PASSWORD, "10.0.0.1")
    for name, password in (("admin", "x"), ("root", PASSWORD), ("admin", PASSWORD * 100)):
        with pytest.raises(AuthenticationError, match=r"^The name or the password is wrong\.$"):
            await accounts.sign_in(name, password, "10.0.0.1")
