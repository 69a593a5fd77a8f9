"""Where one can go on the administrator's pages. A page of the navigation is one entry."""

from __future__ import annotations

from typing import Final

from broker.admins.roles import AdminRight
from p2pacs.languages import N_
from p2pacs.pages.navigation import Way

NAVIGATION: Final = (
    Way("/members", N_("Members"), AdminRight.SEE),
    Way("/access", N_("Access"), AdminRight.SEE),
    Way("/studies", N_("Studies"), AdminRight.SEE),
    Way("/transfers", N_("Transfers"), AdminRight.SEE),
    Way("/traffic", N_("Traffic"), AdminRight.SEE),
    Way("/audit", N_("Audit trail"), AdminRight.SEE),
    Way("/settings", N_("Settings"), AdminRight.SEE),
    Way("/health", N_("Health"), AdminRight.SEE),
)
