"""Where one can go on the administrator's pages. A page of the navigation is one entry."""

from __future__ import annotations

from typing import Final

from broker.members.roles import AdminRight
from p2pacs.pages.navigation import Way

NAVIGATION: Final = (
    Way("/members", "Members", AdminRight.SEE),
    Way("/access", "Access", AdminRight.SEE),
    Way("/studies", "Studies", AdminRight.SEE),
    Way("/transfers", "Transfers", AdminRight.SEE),
    Way("/traffic", "Traffic", AdminRight.SEE),
    Way("/audit", "Audit trail", AdminRight.SEE),
    Way("/settings", "Settings", AdminRight.SEE),
    Way("/health", "Health", AdminRight.SEE),
)
