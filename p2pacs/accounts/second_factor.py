"""The second factor of accounts: set up, used and taken away, each on a transaction."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, delete, func, insert, select, update

from p2pacs.accounts.one_time import (
    matching_step,
    new_recovery_codes,
    plain_code,
    recovery_hash,
)
from p2pacs.accounts.tables import recovery_codes, second_factors

LONGEST: Final = 64
"""Characters of a code as people type it."""


def has_second_factor(connection: Connection, account: str) -> bool:
    """Whether a password alone does not do."""
    query = select(second_factors.c.account).where(second_factors.c.account == account)
    return connection.execute(query).first() is not None


def enable(connection: Connection, account: str, secret: bytes, step: int) -> list[str]:
    """From now on a code is asked for.

    Args:
        connection: a transaction.
        account: whose.
        secret: what the codes are made of.
        step: the half minute of the code that proved that the phone has it: used.

    Returns:
        New recovery codes; they are shown once.
    """
    disable(connection, account)
    row = {"account": account, "secret": secret, "step": step}
    connection.execute(insert(second_factors).values(row))
    return renew_recovery_codes(connection, account)


def disable(connection: Connection, account: str) -> bool:
    """The password alone does again, if it did not before."""
    _forget_recovery_codes(connection, account)
    theirs = delete(second_factors).where(second_factors.c.account == account)
    return connection.execute(theirs).rowcount > 0


def renew_recovery_codes(connection: Connection, account: str) -> list[str]:
    """New recovery codes in the place of those before; they are shown once."""
    _forget_recovery_codes(connection, account)
    codes = new_recovery_codes()
    rows = [{"account": account, "code_hash": recovery_hash(account, code)} for code in codes]
    connection.execute(insert(recovery_codes), rows)
    return codes


def recovery_codes_left(connection: Connection, account: str) -> int:
    """How many recovery codes were not used yet."""
    query = select(func.count()).where(recovery_codes.c.account == account)
    return int(connection.execute(query).scalar_one())


def take_code(connection: Connection, account: str, code: str, at: int) -> bool:
    """Whether this code is good now; it is good no more afterwards, nor are older ones.

    Args:
        connection: a transaction that writes.
        account: whose.
        code: of the app, or a recovery code, as typed.
        at: milliseconds since 1970.
    """
    if not 0 < len(code) <= LONGEST:
        return False
    row = connection.execute(
        select(second_factors).where(second_factors.c.account == account)
    ).one_or_none()
    if row is None:
        return False
    step = matching_step(row.secret, plain_code(code), at // 1000, row.step)
    if step is not None:
        of_account = second_factors.c.account == account
        connection.execute(update(second_factors).where(of_account).values(step=step))
        return True
    used = delete(recovery_codes).where(recovery_codes.c.code_hash == recovery_hash(account, code))
    return connection.execute(used).rowcount > 0


def _forget_recovery_codes(connection: Connection, account: str) -> None:
    connection.execute(delete(recovery_codes).where(recovery_codes.c.account == account))
