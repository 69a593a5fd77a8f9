"""The administrator's pages without a server."""

from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import httpx
import pytest
from attrs import frozen

from broker.config import AdminWebSettings, BrokerSettings
from broker.members.admin_actions import AdminActions
from broker.members.holding import Holding
from broker.pages.app import make_app
from broker.pages.content import AdminContent, MemberKnowledge
from p2pacs.accounts.people import add_account
from p2pacs.catalogue.catalogue_index import CatalogueIndex
from p2pacs.ids import StudyId, VirtualAddress
from tests.broker.conftest import Ground
from tests.p2pacs.accounts.conftest import CHEAP
from tests.p2pacs.pages.browser import PASSWORD
from tests.p2pacs.pages.browser import Browser as PagesBrowser
from tests.p2pacs.pages.browser import client as pages_client

__all__ = ["PASSWORD", "Browser", "client", "settings"]


def settings(**web: object) -> BrokerSettings:
    return BrokerSettings.model_validate(
        {
            "pacs": "dimse://PACS@127.0.0.1:104",
            "listen": ["127.0.0.1:4710"],
            "web": {"listen": "127.0.0.1:8443", "hosts": ["broker"], **web},
        }
    )


class FewKnown:
    """What is known of members: nothing, until a test says something."""

    def __init__(self) -> None:
        self.programs: dict[VirtualAddress, str] = {}
        self.held: dict[VirtualAddress, list[tuple[StudyId, bool]]] = {}

    def program(self, member: VirtualAddress) -> str:
        return self.programs.get(member, "")

    def studies(
        self, member: VirtualAddress, skipped: int, most: int
    ) -> Sequence[tuple[StudyId, bool]]:
        return self.held.get(member, [])[skipped : skipped + most]

    async def holding(self, member: VirtualAddress) -> Holding:
        found = Holding()
        for _, whole in self.held.get(member, []):
            found = found.plus(whole=whole, size=1000 if whole else None)
        return found


@frozen
class Browser(PagesBrowser):
    """One that knows what the broker stands on."""

    ground: Ground
    known: FewKnown
    catalogue: CatalogueIndex


def content_of(ground: Ground, known: MemberKnowledge | None = None) -> AdminContent:
    return AdminContent(CatalogueIndex(ground.database), known or FewKnown())


def client(
    ground: Ground,
    web: AdminWebSettings | None = None,
    address: str = "10.0.0.1",
    came: Callable[[str], object] = lambda _address: None,
    known: MemberKnowledge | None = None,
) -> httpx.AsyncClient:
    whole = settings()
    actions = AdminActions(ground.authority, ground.identity.address, whole)
    content = content_of(ground, known)
    app = make_app(ground.database, actions, web or whole.web, content, passwords=CHEAP, came=came)
    return pages_client(app, "broker", address, secure=web is not None and web.secure)


@pytest.fixture
async def browser(ground: Ground, tmp_path: Path) -> AsyncIterator[Browser]:
    """Nobody is signed in yet."""
    await ground.database.run(lambda c: add_account(c, "admin", PASSWORD, "administrator", CHEAP))
    known = FewKnown()
    async with client(ground, known=known) as http:
        yield Browser(http, ground, known, CatalogueIndex(ground.database))


@pytest.fixture
async def admin(browser: Browser) -> Browser:
    """The administrator is signed in."""
    answer = await browser.sign_in()
    assert answer.headers["location"] == "/"
    return browser
