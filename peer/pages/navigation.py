"""Where one can go on the pages, and who."""

from __future__ import annotations

from typing import Final

from p2pacs.languages import N_
from p2pacs.pages.navigation import Way
from peer.accounts.rights import UserRight

ACCOUNTS: Final = Way("/users", N_("Accounts"), UserRight.USERS)

NAVIGATION: Final = (
    Way("/studies", N_("Studies"), UserRight.SEARCH),
    Way("/transfers", N_("Transfers"), UserRight.SEE),
    Way("/sent", N_("Sent"), UserRight.SEE),
    Way("/network", N_("Network"), UserRight.SEE),
    Way("/settings", N_("Settings"), UserRight.SETTINGS),
    ACCOUNTS,
)
