"""How somebody wants the pages, on a transaction."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert

from p2pacs.accounts.tables import preferences


def set_language(connection: Connection, account: str, language: str) -> None:
    """From now on all pages come in it.

    Args:
        connection: a transaction.
        account: whose.
        language: of `p2pacs.languages.LANGUAGES`; empty: what each browser says.
    """
    forget(connection, account)
    if language:
        connection.execute(insert(preferences).values(account=account, language=language))


def forget(connection: Connection, account: str) -> None:
    """Nothing is known of it any more."""
    connection.execute(delete(preferences).where(preferences.c.account == account))
