"""Sessions of people who signed in: random tokens, of which only the hash is kept."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from typing import Final

from attrs import field, frozen
from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from p2pacs.accounts.rights import Rights, rights_of
from p2pacs.accounts.tables import accounts, preferences, sessions

_TOUCH: Final = 30_000
"""Milliseconds between two writes of when a session was last used."""

_LENGTH: Final = 128


def now() -> int:
    """Milliseconds since 1970 (UTC), as the tables keep time."""
    return time.time_ns() // 1_000_000


@frozen
class Session:
    """Somebody who is signed in."""

    account: str
    csrf: str = field(repr=False)
    """What every form of the session carries."""
    role: str = ""
    rights: frozenset[str] = frozenset()
    """What the account may do, at this moment."""
    language: str = ""
    """That it wants the pages in; empty: what the browser says."""

    def may(self, right: str) -> bool:
        """Whether the account may do this."""
        return right in self.rights


@frozen
class OpenSession:
    """A session as its owner sees it in a list."""

    id: str
    """Names it; of no use as a cookie."""
    source: str
    """Network address that signed in."""
    started: int
    used: int
    """Milliseconds since 1970 (UTC)."""


@frozen
class Sessions:
    """Starts, finds and ends sessions, each on a transaction."""

    idle: int
    """Milliseconds unused after which a session is over."""
    longest: int
    """Milliseconds after which it is over in any case."""
    rights: Rights = field(factory=dict)
    """What each role may do."""
    clock: Callable[[], int] = now

    def start(self, connection: Connection, account: str, source: str = "") -> str:
        """Begin a session: the token for the cookie.

        Args:
            connection: a transaction.
            account: whose session.
            source: network address that signed in.
        """
        token, at = secrets.token_urlsafe(32), self.clock()
        connection.execute(delete(sessions).where(self._over(at)))
        row = {"account": account, "source": source, "started": at, "used": at}
        row |= {"csrf": secrets.token_urlsafe(32), "token_hash": token_hash(token)}
        connection.execute(insert(sessions).values(row))
        return token

    def find(self, connection: Connection, token: str, *, use: bool = True) -> Session | None:
        """The session of a cookie, if it is not over.

        Args:
            connection: a transaction.
            token: in the cookie.
            use: whether it counts as used now.
        """
        if not 0 < len(token) <= _LENGTH:
            return None
        at = self.clock()
        query = (
            select(sessions, accounts.c.role, preferences.c.language)
            .join(accounts, accounts.c.name == sessions.c.account)
            .outerjoin(preferences, preferences.c.account == sessions.c.account)
            .where(sessions.c.token_hash == token_hash(token), ~self._over(at))
        )
        row = connection.execute(query).one_or_none()
        if row is None:
            return None
        if use and at > row.used + _TOUCH:
            of_row = sessions.c.token_hash == row.token_hash
            connection.execute(update(sessions).where(of_row).values(used=at))
        rights = rights_of(row.role, self.rights)
        return Session(row.account, row.csrf, row.role, rights, row.language or "")

    def of_account(self, connection: Connection, account: str) -> list[OpenSession]:
        """All that are not over, the one used last first."""
        query = (
            select(sessions)
            .where(sessions.c.account == account, ~self._over(self.clock()))
            .order_by(sessions.c.used.desc(), sessions.c.token_hash)
        )
        return [
            OpenSession(row.token_hash.hex(), row.source, row.started, row.used)
            for row in connection.execute(query)
        ]

    def _over(self, at: int) -> ColumnElement[bool]:
        return (sessions.c.used <= at - self.idle) | (sessions.c.started <= at - self.longest)


def end(connection: Connection, token: str) -> None:
    """Sign out."""
    connection.execute(delete(sessions).where(sessions.c.token_hash == token_hash(token)))


def end_all(connection: Connection, account: str) -> None:
    """Sign somebody out everywhere: the password was changed."""
    connection.execute(delete(sessions).where(sessions.c.account == account))


def end_one(connection: Connection, account: str, session: str) -> bool:
    """End one of an account's sessions, by `OpenSession.id`; whether there was such a one."""
    try:
        hashed = bytes.fromhex(session)
    except ValueError:
        return False
    theirs = (sessions.c.token_hash == hashed) & (sessions.c.account == account)
    return connection.execute(delete(sessions).where(theirs)).rowcount > 0


def end_others(connection: Connection, account: str, token: str) -> None:
    """End all of an account's sessions but the one with this token."""
    others = (sessions.c.account == account) & (sessions.c.token_hash != token_hash(token))
    connection.execute(delete(sessions).where(others))


def equal(one: str, other: str) -> bool:
    """Compare secrets in constant time."""
    return bool(one) and hmac.compare_digest(one.encode(), other.encode())


def token_hash(token: str) -> bytes:
    """What is kept of a token: 256 random bits need no slow hash."""
    return hashlib.sha256(b"p2pacs session\0" + token.encode()).digest()
