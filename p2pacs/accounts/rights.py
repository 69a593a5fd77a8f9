"""What the accounts of a program may do: a table from roles to rights, both named by texts. Pure.

Each program has roles and rights of its own; that there is an administrator, all have in common.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

Rights = Mapping[str, frozenset[str]]
"""What each role may do."""

ADMINISTRATOR: Final = "administrator"
"""The role that manages accounts; one account at least keeps it."""


def rights_of(role: str, table: Rights) -> frozenset[str]:
    """What an account of this role may do; nothing, if the program has no such role."""
    return table.get(role, frozenset())


def roles_with(right: str, table: Rights) -> Collection[str]:
    """The roles that may do this, in the order of the table."""
    return tuple(role for role, rights in table.items() if right in rights)
