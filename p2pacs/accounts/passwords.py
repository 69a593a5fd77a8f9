"""Accounts and their passwords: argon2id hashes, checked in constant time."""

from __future__ import annotations

from typing import Final

import trio
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Connection, delete, insert, select, update

from p2pacs.accounts import known_places, sessions
from p2pacs.accounts.tables import accounts
from p2pacs.errors import NotFoundError, StateError, UsageError
from p2pacs.limits import NAME

SHORTEST: Final = 12
LONGEST: Final = 1024


class Passwords:
    """Hashes passwords and checks them; each takes a tenth of a second and 64 MiB."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        # argon2id with 64 MiB and three passes: RFC 9106, second recommended choice.
        self._hasher = hasher or PasswordHasher()
        self._nobodys: str | None = None
        self._one = trio.CapacityLimiter(1)

    def hash(self, password: str) -> str:
        """What is kept of a password."""
        return self._hasher.hash(password)

    def matches(self, stored: str | None, password: str) -> bool:
        """Whether this is the password; takes as long if there is no account (None)."""
        if self._nobodys is None:
            self._nobodys = self._hasher.hash("nobody's password")
        try:
            self._hasher.verify(stored or self._nobodys, password)
        except (VerificationError, InvalidHashError):
            return False
        return stored is not None

    async def check(self, stored: str | None, password: str) -> bool:
        """The same in a worker thread, one at a time: each takes 64 MiB meanwhile."""
        return await trio.to_thread.run_sync(self.matches, stored, password, limiter=self._one)


ARGON2ID: Final = Passwords()


def check_name(name: str) -> None:
    """What the name of an account must be like.

    Raises:
        UsageError: it is not.
    """
    if not 0 < len(name) <= NAME or not name.isprintable() or name != name.strip():
        raise UsageError(f"an administrator's name has 1 to {NAME} printable characters")


def check_account(name: str, password: str) -> None:
    """What an account must be like.

    Raises:
        UsageError: it is not.
    """
    check_name(name)
    if not SHORTEST <= len(password) <= LONGEST:
        raise UsageError(f"a password has {SHORTEST} to {LONGEST} characters; a sentence is good")


def set_password(
    connection: Connection, name: str, password: str, passwords: Passwords = ARGON2ID
) -> bool:
    """Make an account, or change its password: whoever is signed in with the old one is no more.

    Returns:
        Whether the account is new.

    Raises:
        UsageError: as `check_account`.
    """
    check_account(name, password)
    hashed = passwords.hash(password)
    changed = update(accounts).where(accounts.c.name == name).values(password_hash=hashed)
    is_new = connection.execute(changed).rowcount == 0
    if is_new:
        connection.execute(insert(accounts).values(name=name, password_hash=hashed))
    _sign_out(connection, name)
    return is_new


def list_accounts(connection: Connection) -> list[str]:
    """The names of all accounts, in order."""
    return list(connection.scalars(select(accounts.c.name).order_by(accounts.c.name)))


def remove_account(connection: Connection, name: str) -> None:
    """Whoever has this account signs in no more, and is signed in no more.

    Raises:
        NotFoundError: there is no such account.
        StateError: it is the last one.
    """
    names = list_accounts(connection)
    if name not in names:
        raise NotFoundError(f"there is no account {name!r}")
    if names == [name]:
        raise StateError(f"{name} is the only one who can sign in: add somebody else first")
    connection.execute(delete(accounts).where(accounts.c.name == name))
    _sign_out(connection, name)


def _sign_out(connection: Connection, name: str) -> None:
    sessions.end_all(connection, name)
    known_places.forget(connection, name)


def stored_hash(connection: Connection, name: str) -> str | None:
    """The hash of an account's password; None if there is no such account."""
    query = select(accounts.c.password_hash).where(accounts.c.name == name)
    return connection.execute(query).scalar_one_or_none()
