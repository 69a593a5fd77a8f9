"""The accounts of people: made, changed and removed, each on a transaction.

Roles are checked by the program that has them (`p2pacs.accounts.rights`).
"""

from __future__ import annotations

from attrs import frozen
from sqlalchemy import Connection, delete, insert, select, update

from p2pacs.accounts import known_places, preferences, sessions
from p2pacs.accounts.passwords import ARGON2ID, Passwords, check_account
from p2pacs.accounts.rights import ADMINISTRATOR
from p2pacs.accounts.second_factor import disable
from p2pacs.accounts.tables import accounts, second_factors
from p2pacs.errors import NotFoundError, StateError
from p2pacs.languages import _


@frozen
class Account:
    """Somebody who may sign in."""

    name: str
    role: str
    second_factor: bool = False
    """Whether a code is asked for, too."""


def list_accounts(connection: Connection) -> list[Account]:
    """All accounts, by name."""
    query = (
        select(accounts.c.name, accounts.c.role, second_factors.c.account)
        .outerjoin(second_factors, second_factors.c.account == accounts.c.name)
        .order_by(accounts.c.name)
    )
    return [Account(name, role, code is not None) for name, role, code in connection.execute(query)]


def has_account(connection: Connection, name: str) -> bool:
    """Whether there is an account of this name."""
    return stored_hash(connection, name) is not None


def add_account(
    connection: Connection, name: str, password: str, role: str, passwords: Passwords = ARGON2ID
) -> None:
    """Make an account.

    Raises:
        UsageError: a name or password that cannot be (`check_account`).
        StateError: there is one of this name.
    """
    check_account(name, password)
    store_account(connection, name, passwords.hash(password), role)


def store_account(connection: Connection, name: str, hashed: str, role: str) -> None:
    """As `add_account`, with a name and password that were checked, and the password's hash.

    Raises:
        StateError: there is one of this name.
    """
    if has_account(connection, name):
        raise StateError(_("there is an account %(name)s already", name=name))
    row = {"name": name, "password_hash": hashed, "role": role}
    connection.execute(insert(accounts).values(row))


def set_password(
    connection: Connection, name: str, password: str, passwords: Passwords = ARGON2ID
) -> None:
    """Change a password: whoever is signed in with the old one is no more.

    Raises:
        UsageError: a password that cannot be (`check_account`).
        NotFoundError: there is no such account.
    """
    check_account(name, password)
    store_password(connection, name, passwords.hash(password))


def store_password(connection: Connection, name: str, hashed: str) -> None:
    """As `set_password`, with a password that was checked, and its hash.

    Raises:
        NotFoundError: there is no such account.
    """
    of_account = accounts.c.name == name
    changed = update(accounts).where(of_account).values(password_hash=hashed)
    if connection.execute(changed).rowcount == 0:
        raise _missing(name)
    _sign_out(connection, name)


def set_role(connection: Connection, name: str, role: str) -> None:
    """Give an account another role, from its next request on.

    Raises:
        NotFoundError: there is no such account.
        StateError: it is the only administrator.
    """
    if not has_account(connection, name):
        raise _missing(name)
    connection.execute(update(accounts).where(accounts.c.name == name).values(role=role))
    _check_administrator(connection, name)


def remove_account(connection: Connection, name: str) -> None:
    """Whoever has this account signs in no more, and is signed in no more.

    Raises:
        NotFoundError: there is no such account.
        StateError: it is the only administrator.
    """
    if not has_account(connection, name):
        raise _missing(name)
    connection.execute(delete(accounts).where(accounts.c.name == name))
    _check_administrator(connection, name)
    disable(connection, name)
    preferences.forget(connection, name)
    _sign_out(connection, name)


def reset_second_factor(connection: Connection, name: str) -> None:
    """The password alone does again, for who has lost phone and recovery codes.

    Raises:
        NotFoundError: there is no such account.
        StateError: it has no second factor.
    """
    if not has_account(connection, name):
        raise _missing(name)
    if not disable(connection, name):
        raise StateError(_("%(name)s has no second factor", name=name))


def role_of(connection: Connection, name: str) -> str | None:
    """The role of an account; None if there is no such account."""
    query = select(accounts.c.role).where(accounts.c.name == name)
    return connection.execute(query).scalar_one_or_none()


def stored_hash(connection: Connection, name: str) -> str | None:
    """The hash of an account's password; None if there is no such account."""
    query = select(accounts.c.password_hash).where(accounts.c.name == name)
    return connection.execute(query).scalar_one_or_none()


def _check_administrator(connection: Connection, name: str) -> None:
    """After a change of this account; raised, it undoes the whole transaction."""
    query = select(accounts.c.name).where(accounts.c.role == ADMINISTRATOR).limit(1)
    if connection.execute(query).first() is None:
        raise StateError(
            _("without %(name)s there is no administrator: add another one first", name=name)
        )


def _missing(name: str) -> NotFoundError:
    return NotFoundError(_("there is no account %(name)s", name=name))


def _sign_out(connection: Connection, name: str) -> None:
    sessions.end_all(connection, name)
    known_places.forget(connection, name)
