"""The administrators' accounts: passwords as argon2id hashes, checked in constant time."""

from __future__ import annotations

from functools import cache
from typing import Final

import trio
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Connection, select
from sqlalchemy.dialects.sqlite import insert

from broker import lockout
from broker.database.db import BrokerDatabase
from broker.database.schema import admins
from broker.members import audit
from p2pacs.errors import AuthenticationError, TooManyAttemptsError, UsageError

SHORTEST: Final = 12
LONGEST: Final = 1024

_HASHER: Final = PasswordHasher()  # argon2id; 64 MiB and three passes (RFC 9106, second choice)


@cache
def _nobody() -> str:
    """A hash that no password has: checking it takes as long as checking a real one."""
    return _HASHER.hash("nobody's password")


def check_account(name: str, password: str) -> None:
    """What an account must be like.

    Raises:
        UsageError: it is not.
    """
    if not 0 < len(name) <= 64 or not name.isprintable() or name != name.strip():
        raise UsageError("an administrator's name has 1 to 64 printable characters")
    if not SHORTEST <= len(password) <= LONGEST:
        raise UsageError(f"a password has {SHORTEST} to {LONGEST} characters; a sentence is good")


def set_password(connection: Connection, name: str, password: str) -> None:
    """Make an account, or change its password. Takes a tenth of a second.

    Raises:
        UsageError: as `check_account`.
    """
    check_account(name, password)
    hashed = _HASHER.hash(password)
    statement = insert(admins).values(name=name, password_hash=hashed)
    connection.execute(statement.on_conflict_do_update(["name"], set_={"password_hash": hashed}))


def _matches(stored: str | None, password: str) -> bool:
    nobody = _nobody()
    try:
        _HASHER.verify(stored or nobody, password)
    except (VerificationError, InvalidHashError):
        return False
    return stored is not None


class Accounts:
    """Checks passwords, one at a time: each takes 64 MiB while it is checked."""

    def __init__(self, database: BrokerDatabase) -> None:
        self._database = database
        self._one = trio.CapacityLimiter(1)

    async def sign_in(self, name: str, password: str, address: str) -> None:
        """Return if this is an administrator's password.

        Args:
            name: the account.
            password: what was typed.
            address: network address that asks; failures are counted by account and address.

        Raises:
            AuthenticationError: no such account, or another password; both look alike.
            TooManyAttemptsError: locked out for a while.
        """
        try:
            stored = await self._database.run(lambda c: self._begin(c, name, address))
        except TooManyAttemptsError:
            await self._record(name, address, "locked out")
            raise
        good = len(password) <= LONGEST and await trio.to_thread.run_sync(
            _matches, stored, password, limiter=self._one
        )
        if not good:
            await self._record(name if stored else "-", address, "wrong name or password")
            raise AuthenticationError("The name or the password is wrong.")
        await self._database.run(lambda c: self._succeeded(c, name, address))

    def _begin(self, connection: Connection, name: str, address: str) -> str | None:
        of_address, of_account = _subjects(name, address)
        lockout.begin(connection, of_account, lockout.SIGN_IN)
        lockout.begin(connection, of_address, lockout.ADDRESS)
        query = select(admins.c.password_hash).where(admins.c.name == name)
        return connection.execute(query).scalar_one_or_none()

    def _succeeded(self, connection: Connection, name: str, address: str) -> None:
        for subject in _subjects(name, address):
            lockout.succeeded(connection, subject)
        audit.record(connection, audit.Entry("sign-in", name, detail=f"from {address}"))

    async def _record(self, name: str, address: str, why: str) -> None:
        entry = audit.Entry("sign-in", name, detail=f"from {address}: {why}", outcome=audit.REFUSED)
        await self._database.run(lambda c: audit.record(c, entry))


def _subjects(name: str, address: str) -> tuple[str, str]:
    return (
        lockout.subject("sign-in from", address),
        lockout.subject("sign-in", name, address),
    )
