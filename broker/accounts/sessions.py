"""Sessions of administrators: random tokens, of which only the hash is kept."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Final

from attrs import field, frozen
from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from broker.config import HOUR, MINUTE, WebSettings
from broker.database.db import now
from broker.database.schema import admins, sessions

_TOUCH: Final = 30_000
"""Milliseconds between two writes of when a session was last used."""

_LENGTH: Final = 128


@frozen
class SignedIn:
    """An administrator who is signed in."""

    admin: str
    csrf: str = field(repr=False)


def start(connection: Connection, admin: str, settings: WebSettings) -> str:
    """Sign an administrator in: the token for the cookie."""
    token, at = secrets.token_urlsafe(32), now()
    connection.execute(delete(sessions).where(_over(at, settings)))
    row = {"admin": admin, "csrf": secrets.token_urlsafe(32), "started": at, "used": at}
    connection.execute(insert(sessions).values(token_hash=_hash(token), **row))
    return token


def find(connection: Connection, token: str, settings: WebSettings) -> SignedIn | None:
    """The session of a cookie, if it is not over; it counts as used now."""
    if not 0 < len(token) <= _LENGTH:
        return None
    at = now()
    query = (
        select(sessions)
        .join(admins, admins.c.name == sessions.c.admin)
        .where(sessions.c.token_hash == _hash(token), ~_over(at, settings))
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    if at > row.used + _TOUCH:
        of_row = sessions.c.token_hash == row.token_hash
        connection.execute(update(sessions).where(of_row).values(used=at))
    return SignedIn(row.admin, row.csrf)


def end(connection: Connection, token: str) -> None:
    """Sign out."""
    connection.execute(delete(sessions).where(sessions.c.token_hash == _hash(token)))


def end_all(connection: Connection, admin: str) -> None:
    """Sign an administrator out everywhere: the password was changed."""
    connection.execute(delete(sessions).where(sessions.c.admin == admin))


def equal(one: str, other: str) -> bool:
    """Compare secrets in constant time."""
    return bool(one) and hmac.compare_digest(one.encode(), other.encode())


def _over(at: int, settings: WebSettings) -> ColumnElement[bool]:
    idle = at - settings.idle_minutes * MINUTE * 1000
    absolute = at - settings.session_hours * HOUR * 1000
    return (sessions.c.used <= idle) | (sessions.c.started <= absolute)


def _hash(token: str) -> bytes:
    return hashlib.sha256(b"p2pacs session\0" + token.encode()).digest()
