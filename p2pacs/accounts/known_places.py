"""Where an account has signed in from before: browsers (by a cookie) and network addresses.

A password that is typed there is checked apart from all others, so that a stranger who guesses
elsewhere cannot delay it ("device cookies", OWASP: Slow Down Online Guessing Attacks). Only
hashes are kept, each with the account that it is good for.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Final

from sqlalchemy import Connection, delete, insert, select, update

from p2pacs.accounts.tables import known_places

FORGOTTEN: Final = 90 * 24 * 3600 * 1000
"""Milliseconds unused after which a place is forgotten."""

MOST: Final = 20
"""Places of one account: the one that was not used for longest goes."""

_LENGTH: Final = 128


def new_cookie() -> str:
    """A random value that one browser keeps."""
    return secrets.token_urlsafe(32)


def browser(account: str, cookie: str) -> bytes | None:
    """The place that is a browser with this cookie; None if it cannot be one of ours."""
    return _hash("browser", account, cookie) if 0 < len(cookie) <= _LENGTH else None


def network(account: str, source: str) -> bytes:
    """The place that is a network address."""
    return _hash("network", account, source)


def is_known(connection: Connection, place: bytes, at: int) -> bool:
    """Whether the place's account signed in there of late."""
    query = select(known_places.c.account).where(
        known_places.c.place_hash == place, known_places.c.used > at - FORGOTTEN
    )
    return connection.execute(query).first() is not None


def remember(connection: Connection, account: str, place: bytes, at: int) -> None:
    """The account signed in there just now."""
    connection.execute(delete(known_places).where(known_places.c.used <= at - FORGOTTEN))
    of_place = known_places.c.place_hash == place
    if connection.execute(update(known_places).where(of_place).values(used=at)).rowcount:
        return
    newest = (
        select(known_places.c.place_hash)
        .where(known_places.c.account == account)
        .order_by(known_places.c.used.desc(), known_places.c.place_hash)
    )
    kept = [row.place_hash for row in connection.execute(newest)]
    connection.execute(delete(known_places).where(known_places.c.place_hash.in_(kept[MOST - 1 :])))
    connection.execute(insert(known_places).values(place_hash=place, account=account, used=at))


def forget(connection: Connection, account: str) -> None:
    """Forget all places of an account: its password was changed."""
    connection.execute(delete(known_places).where(known_places.c.account == account))


def _hash(kind: str, account: str, value: str) -> bytes:
    return hashlib.sha256(f"p2pacs place\0{kind}\0{account}\0{value}".encode()).digest()
