"""What the administrators of the network may do. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from p2pacs.accounts.rights import ADMINISTRATOR, Rights
from p2pacs.errors import UsageError


class AdminRole(StrEnum):
    """What an account at the broker is for."""

    ADMINISTRATOR = ADMINISTRATOR
    AUDITOR = "auditor"
    """Sees everything and changes nothing."""


class AdminRight(StrEnum):
    """What a page needs."""

    SEE = "see"
    CHANGE = "change"


ADMIN_RIGHTS: Final[Rights] = {
    AdminRole.ADMINISTRATOR: frozenset(AdminRight),
    AdminRole.AUDITOR: frozenset({AdminRight.SEE}),
}


def admin_role(text: str) -> AdminRole:
    """The role of this name.

    Raises:
        UsageError: there is none.
    """
    try:
        return AdminRole(text)
    except ValueError as error:
        raise UsageError(f"a role is {' or '.join(AdminRole)}; not {text!r}") from error
