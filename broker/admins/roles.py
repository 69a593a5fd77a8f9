"""What the administrators of the network may do. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from p2pacs.accounts.rights import ADMINISTRATOR, Rights
from p2pacs.errors import UsageError
from p2pacs.phrases import Phrase


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
        raise UsageError(
            Phrase(
                "a role is one of: %(known)s; not %(typed)s",
                known=", ".join(AdminRole),
                typed=repr(text),
            )
        ) from error
