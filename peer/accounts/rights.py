"""Who may do what on the hospital's pages: one table. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from p2pacs.accounts.rights import ADMINISTRATOR, Rights
from p2pacs.errors import UsageError
from p2pacs.languages import _


class UserRole(StrEnum):
    """What an account in a hospital is for."""

    RADIOLOGIST = "radiologist"
    """Looks at patients' images."""
    OPERATOR = "operator"
    """Sees to it that studies come, and on which workstation."""
    ADMINISTRATOR = ADMINISTRATOR
    """Sees to the peer and its accounts; no patients."""


class UserRight(StrEnum):
    """What a page or a form needs."""

    SEARCH = "search"
    """Find studies: sees names of patients."""
    LOOK = "look"
    """See images."""
    FETCH = "fetch"
    """Have a study come here; pause, resume and cancel that."""
    STAT = "stat"
    """Put it before all others."""
    SEND = "send"
    """To a workstation of the settings."""
    OUTGOING = "outgoing"
    """Studies that are sent from here into the network: send again, cancel, remove."""
    DOWNLOAD = "download"
    """As files, for wherever."""
    PIN = "pin"
    """Keep a study here."""
    SEE = "see"
    """Transfers, members, storage; no patients."""
    SETTINGS = "settings"
    """Change the peer's settings."""
    USERS = "users"
    """Add, change and remove accounts, and see what was done about them."""


_WORK: Final = frozenset(
    {
        UserRight.SEARCH,
        UserRight.FETCH,
        UserRight.STAT,
        UserRight.SEND,
        UserRight.OUTGOING,
        UserRight.PIN,
        UserRight.SEE,
    }
)

USER_RIGHTS: Final[Rights] = {
    UserRole.RADIOLOGIST: _WORK | {UserRight.LOOK, UserRight.DOWNLOAD},
    UserRole.OPERATOR: _WORK,
    UserRole.ADMINISTRATOR: frozenset({UserRight.SEE, UserRight.SETTINGS, UserRight.USERS}),
}
"""An account has one role. Nobody gives oneself images: who makes accounts sees none."""


def user_role(text: str) -> UserRole:
    """The role of this name.

    Raises:
        UsageError: there is none.
    """
    try:
        return UserRole(text)
    except ValueError as error:
        raise UsageError(
            _(
                "a role is one of %(roles)s; not %(given)s",
                roles=", ".join(UserRole),
                given=repr(text),
            )
        ) from error
