"""The page of the broker's health."""

from __future__ import annotations

from attrs import frozen
from starlette.requests import Request
from starlette.responses import Response

from broker.pages.content import AdminContent
from p2pacs.accounts.sessions import Session
from p2pacs.languages import N_, said
from p2pacs.process.health import Health, worst, worst_first
from p2pacs.web.pages import Pages

BADGES = {
    Health.GOOD: ("here", N_("good")),
    Health.LOOK: ("paused", N_("look")),
    Health.BAD: ("failed", N_("bad")),
}
"""Class and words of each state."""

WORDS = {
    Health.GOOD: N_("All is well."),
    Health.LOOK: N_("All works; something should be looked at."),
    Health.BAD: N_("Something does not work, or will not for long."),
}


@frozen
class HealthViews:
    """For who is signed in."""

    pages: Pages
    content: AdminContent

    async def health(self, request: Request, session: Session) -> Response:
        """All checks, the worst first."""
        checks = await self.content.health()
        return self.pages.page(
            request,
            "health.html",
            session=session,
            checks=[(check, *BADGES[check.state]) for check in worst_first(checks)],
            words=said(WORDS[worst(checks)]),
        )
