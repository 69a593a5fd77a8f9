"""The administrator's pages without a server."""

from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import httpx
import pytest
from attrs import frozen

from broker.admins.actions import AdminActions
from broker.config import AdminWebSettings, BrokerSettings
from broker.members.holding import Holding, LastTold
from broker.pages.app import make_app
from broker.pages.content import AdminContent, MemberKnowledge
from broker.pages.studies.live_publications import LivePublications
from p2pacs.accounts.people import add_account
from p2pacs.catalogue.catalogue_index import CatalogueIndex
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.pages.live_updates import LiveUpdates
from p2pacs.process.health import Health, HealthCheck
from p2pacs.publish import PublishProgress
from p2pacs.store import StudyInfo
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
        self.told: dict[VirtualAddress, LastTold] = {}
        self.held: dict[VirtualAddress, list[tuple[StudyId, bool]]] = {}

    def program(self, member: VirtualAddress) -> str:
        return self.programs.get(member, "")

    def last(self, member: VirtualAddress) -> LastTold | None:
        return self.told.get(member)

    def studies(
        self, member: VirtualAddress, skipped: int, most: int
    ) -> Sequence[tuple[StudyId, bool]]:
        return self.held.get(member, [])[skipped : skipped + most]

    async def holding(self, member: VirtualAddress) -> Holding:
        found = Holding()
        for _, whole in self.held.get(member, []):
            found = found.plus(whole=whole, size=1000 if whole else None)
        return found


class FewStudies:
    """What is known of studies: nothing, until a test says something."""

    def __init__(self) -> None:
        self.publications: dict[StudyId, PublishProgress] = {}
        self.held: dict[StudyId, list[tuple[VirtualAddress, bool | None]]] = {}
        self.store: dict[StudyId, StudyInfo] = {}
        self.published: list[str] = []

    def copies(self, study: StudyId) -> Sequence[tuple[VirtualAddress, bool | None]]:
        return self.held.get(study, [])

    def here(self, study: StudyId) -> StudyInfo | None:
        return self.store.get(study)

    async def root(self, _study: StudyId) -> None:
        return None

    def publish(self, uid: str) -> None:
        self.published.append(uid)


async def well() -> Sequence[HealthCheck]:
    """A broker that is well but for its disk."""
    return [
        HealthCheck("PACS", Health.GOOD, "It answers."),
        HealthCheck("Disk of the store", Health.BAD, "1 B is free.", "Make room."),
    ]


@frozen
class Browser(PagesBrowser):
    """One that knows what the broker stands on."""

    ground: Ground
    known: FewKnown
    catalogue: CatalogueIndex
    studies: FewStudies


def content_of(
    ground: Ground, known: MemberKnowledge | None = None, studies: FewStudies | None = None
) -> AdminContent:
    catalogue = CatalogueIndex(ground.database)
    return AdminContent(catalogue, known or FewKnown(), studies or FewStudies(), well)


def client(
    ground: Ground,
    web: AdminWebSettings | None = None,
    address: str = "10.0.0.1",
    came: Callable[[str], object] = lambda _address: None,
    content: AdminContent | None = None,
) -> httpx.AsyncClient:
    whole = settings()
    actions = AdminActions(ground.authority, ground.identity.address, whole)
    content = content or content_of(ground)
    live = LiveUpdates(LivePublications(content))
    app = make_app(
        ground.database, actions, web or whole.web, content, live, passwords=CHEAP, came=came
    )
    return pages_client(app, "broker", address, secure=web is not None and web.secure)


@pytest.fixture
async def browser(ground: Ground, tmp_path: Path) -> AsyncIterator[Browser]:
    """Nobody is signed in yet."""
    await ground.database.run(lambda c: add_account(c, "admin", PASSWORD, "administrator", CHEAP))
    known, studies = FewKnown(), FewStudies()
    async with client(ground, content=content_of(ground, known, studies)) as http:
        yield Browser(http, ground, known, CatalogueIndex(ground.database), studies)


@pytest.fixture
async def admin(browser: Browser) -> Browser:
    """The administrator is signed in."""
    answer = await browser.sign_in()
    assert answer.headers["location"] == "/"
    return browser
