"""The administrator's pages as one ASGI application: routes and what stands before them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from sqlalchemy import Connection
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from broker.admins.actions import AdminActions
from broker.admins.roles import ADMIN_RIGHTS, AdminRight
from broker.config import AdminWebSettings
from broker.database.db import BrokerDatabase
from broker.pages.access.access_views import PATH as ACCESS
from broker.pages.access.access_views import AccessViews
from broker.pages.content import AdminContent
from broker.pages.health_views import HealthViews
from broker.pages.members.list_views import MemberListViews
from broker.pages.members.member_views import MemberViews
from broker.pages.navigation import NAVIGATION
from broker.pages.registration.previews import Previews
from broker.pages.registration.several_views import BODY as SEVERAL_BYTES
from broker.pages.registration.several_views import PATH as SEVERAL
from broker.pages.registration.several_views import TOKENS, SeveralViews
from broker.pages.registration.shown_tokens import ShownTokens
from broker.pages.registration.views import RegistrationViews
from broker.pages.settings_views import PATH as SETTINGS
from broker.pages.settings_views import AdminSettingsViews
from broker.pages.studies.network_listing import NetworkListing
from broker.pages.studies.network_study_views import NetworkStudyViews
from broker.pages.studies.publication_views import PublicationViews
from broker.pages.traffic.traffic_views import TrafficViews
from broker.pages.trail.trail_views import TrailViews
from broker.pages.trail.trail_words import entry_detail, outcome_words, what_words
from broker.trail import audit
from p2pacs.accounts.passwords import ARGON2ID, Passwords
from p2pacs.accounts.sign_in import SignInOutcome
from p2pacs.languages import _, formats
from p2pacs.pages import words
from p2pacs.pages.account import AccountViews
from p2pacs.pages.app import guarded_app
from p2pacs.pages.certificate import host_names
from p2pacs.pages.door import Door
from p2pacs.pages.forms import sentence
from p2pacs.pages.live_updates import LiveUpdates
from p2pacs.pages.times import minute, utc
from p2pacs.texts import clean
from p2pacs.web.pages import Pages

_TEMPLATES: Final = Path(__file__).parent / "templates"


def make_app(
    database: BrokerDatabase,
    actions: AdminActions,
    settings: AdminWebSettings,
    content: AdminContent,
    live: LiveUpdates,
    *,
    passwords: Passwords = ARGON2ID,
    came: Callable[[str], object] = lambda _address: None,
) -> Starlette:
    """The application.

    Args:
        database: the broker's.
        actions: what an administrator does.
        settings: of the pages; where browsers come by HTTPS, cookies are marked so.
        content: what they show of the running broker.
        live: keeps open pages new.
        passwords: how they are hashed.
        came: told from which network addresses come those who are signed in.
    """
    network = actions.authority.name
    pages = _pages_of(network)
    door = Door.of(
        database,
        pages,
        settings,
        rights=ADMIN_RIGHTS,
        record=_record,
        passwords=passwords,
        came=came,
        left=lambda session: live.end_session(session.csrf),
    )
    account = AccountViews(door, _note, passwords, issuer=f"p2pacs {network}")
    return guarded_app(
        door,
        [
            Route("/", _home),
            *_member_routes(door, database, actions, pages, content),
            *_study_routes(door, database, pages, content, live),
            *_network_routes(door, database, actions, pages, content),
            *account.routes(),
        ],
        names=host_names(settings.listen, settings.hosts),
        proxies=settings.proxies,
        setting="web.hosts in broker.toml",
        larger={SEVERAL: SEVERAL_BYTES},
    )


def _pages_of(network: str) -> Pages:
    """The templates, with what all of them may say."""
    pages = Pages(
        _TEMPLATES,
        base="base.html",
        network=network,
        navigation=NAVIGATION,
        about=lambda: _("Administration of the network “%(network)s”.", network=network),
    )
    pages.filter(
        minute=minute,
        second=formats.second,
        utc=utc,
        rate=words.limit,
        size=formats.size,
        round_size=formats.round_size,
        whole=formats.whole,
    )
    pages.filter(capitalize_first=words.capitalize_first, clean=clean)
    pages.filter(person=words.person, day=words.day, clock=words.clock, sex=words.sex)
    pages.filter(what_words=what_words, outcome_words=outcome_words, entry_detail=entry_detail)
    pages.filter(sentence=sentence)
    return pages


def _network_routes(
    door: Door,
    database: BrokerDatabase,
    actions: AdminActions,
    pages: Pages,
    content: AdminContent,
) -> list[BaseRoute]:
    """What is about no single member or study."""
    shows = partial(door.shows, right=AdminRight.SEE)
    search = partial(door.changes, right=AdminRight.SEE)
    trail = TrailViews(database, pages)
    access = AccessViews(database, pages, content.catalogue)
    effective = AdminSettingsViews(actions.settings, pages)
    flows = TrafficViews(database, pages, actions.broker)
    return [
        Route(ACCESS, shows(access.ask), methods=["GET"]),
        Route(f"{ACCESS}/study", search(access.study), methods=["POST"]),
        Route(f"{ACCESS}/rule", search(access.rule), methods=["POST"]),
        Route(SETTINGS, shows(effective.show), methods=["GET"]),
        Route("/traffic", shows(flows.traffic), methods=["GET"]),
        Route("/traffic.csv", shows(flows.file), methods=["GET"]),
        Route("/health", shows(HealthViews(pages, content).health), methods=["GET"]),
        Route("/audit", shows(trail.trail), methods=["GET"]),
        Route("/audit", search(trail.search), methods=["POST"]),
        Route("/audit/export", search(trail.export), methods=["POST"]),
    ]


def _member_routes(
    door: Door,
    database: BrokerDatabase,
    actions: AdminActions,
    pages: Pages,
    content: AdminContent,
) -> list[BaseRoute]:
    tokens = ShownTokens()
    all_of_them = MemberListViews(
        database, actions.broker, actions.settings, pages, content.members
    )
    register = RegistrationViews(database, actions, pages, tokens)
    one = MemberViews(database, actions, pages, tokens, content)
    shows = partial(door.shows, right=AdminRight.SEE)
    changes = partial(door.changes, right=AdminRight.CHANGE)
    member = "/members/{address}"
    return [
        Route("/members", shows(all_of_them.members), methods=["GET"]),
        Route("/members", changes(register.register), methods=["POST"]),
        Route("/members/new", door.shows(register.new, AdminRight.CHANGE), methods=["GET"]),
        *_several_routes(door, SeveralViews(database, actions, pages, tokens, Previews())),
        Route(member, shows(one.show), methods=["GET"]),
        Route(f"{member}/studies", shows(one.studies), methods=["GET"]),
        Route(f"{member}/token", door.shows(one.token, AdminRight.CHANGE), methods=["GET"]),
        Route(f"{member}/token", changes(one.new_token), methods=["POST"]),
        Route(f"{member}/token/away", changes(one.put_away), methods=["POST"]),
        Route(f"{member}/read", changes(one.read), methods=["POST"]),
        Route(f"{member}/send", changes(one.send), methods=["POST"]),
        Route(f"{member}/correct", changes(one.correct), methods=["POST"]),
        Route(f"{member}/delete", changes(one.remove), methods=["POST"]),
        Route(f"{member}/revoke", changes(one.revoke), methods=["POST"]),
    ]


def _study_routes(
    door: Door,
    database: BrokerDatabase,
    pages: Pages,
    content: AdminContent,
    live: LiveUpdates,
) -> list[BaseRoute]:
    listing = NetworkListing(database, content.studies)
    studies = NetworkStudyViews(database, pages, content, listing)
    going_on = PublicationViews(pages, content, listing, door, live)
    shows = partial(door.shows, right=AdminRight.SEE)
    search = door.changes(studies.search, AdminRight.SEE)
    publish = door.changes(studies.publish, AdminRight.CHANGE)
    return [
        Route("/studies", shows(studies.studies), methods=["GET"]),
        Route("/studies", search, methods=["POST"]),
        Route("/studies/{study}", shows(studies.study), methods=["GET"]),
        Route("/studies/{study}/publish", publish, methods=["POST"]),
        Route("/transfers", shows(going_on.transfers), methods=["GET"]),
        Route("/transfers/{study}/card", shows(going_on.card), methods=["GET"]),
        Route("/live/transfers", shows(going_on.stream), methods=["GET"]),
    ]


def _several_routes(door: Door, views: SeveralViews) -> list[BaseRoute]:
    shows = partial(door.shows, right=AdminRight.CHANGE)
    changes = partial(door.changes, right=AdminRight.CHANGE)
    return [
        Route(SEVERAL, shows(views.new), methods=["GET"]),
        Route(SEVERAL, changes(views.preview), methods=["POST"]),
        Route(f"{SEVERAL}/register", changes(views.register), methods=["POST"]),
        Route(TOKENS, shows(views.shown), methods=["GET"]),
        Route(f"{TOKENS}.csv", changes(views.download), methods=["POST"]),
        Route(f"{TOKENS}/away", changes(views.put_away), methods=["POST"]),
    ]


async def _home(_request: Request) -> Response:
    return RedirectResponse("/members", status_code=303)


def _record(connection: Connection, outcome: SignInOutcome) -> None:
    how = audit.REFUSED if outcome.failures else audit.DONE
    audit.record(
        connection, audit.Entry("sign-in", outcome.account, detail=outcome.detail, outcome=how)
    )


def _note(connection: Connection, actor: str, what: str, detail: str) -> None:
    audit.record(connection, audit.Entry(what, actor, detail=detail))
