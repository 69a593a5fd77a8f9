"""Where one can go on the pages, and who."""

from __future__ import annotations

from typing import Final

from p2pacs.pages.navigation import Way
from peer.accounts.rights import UserRight

ACCOUNTS: Final = Way("/users", "Accounts", UserRight.USERS)

NAVIGATION: Final = (
    Way("/studies", "Studies", UserRight.SEARCH),
    Way("/transfers", "Transfers", UserRight.SEE),
    Way("/network", "Network", UserRight.SEE),
    Way("/settings", "Settings", UserRight.SETTINGS),
    ACCOUNTS,
)
