"""Where one can go on the pages, and who."""

from __future__ import annotations

from typing import Final

from attrs import frozen

from peer.accounts.rights import UserRight


@frozen
class Way:
    """A place in the navigation."""

    path: str
    words: str
    right: UserRight


ACCOUNTS: Final = Way("/users", "Accounts", UserRight.USERS)

NAVIGATION: Final = (
    Way("/studies", "Studies", UserRight.SEARCH),
    Way("/transfers", "Transfers", UserRight.SEE),
    Way("/network", "Network", UserRight.SEE),
    Way("/settings", "Settings", UserRight.SETTINGS),
    ACCOUNTS,
)
