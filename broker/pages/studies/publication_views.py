"""What is going on now, as far as the broker knows it: publications, and who fetches what."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from attrs import evolve, frozen
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from broker.pages.content import AdminContent
from broker.pages.studies.network_listing import NetworkListing
from broker.pages.studies.network_study_views import study_of
from broker.pages.studies.publication_words import publication_words
from broker.pages.studies.sent_studies import SentOnPage, read_sending, read_sent
from p2pacs.accounts.sessions import Session
from p2pacs.ids import StudyId
from p2pacs.languages import _
from p2pacs.output.json_object import JsonObject
from p2pacs.pages.door import Door
from p2pacs.pages.live_updates import EventStream, LiveUpdates
from p2pacs.publish import PublishProgress
from p2pacs.texts import clean
from p2pacs.web.guard import LIVE_POLICY
from p2pacs.web.pages import Pages

ENDED: Final = 20
"""Publications that ended and are shown."""

FETCHED: Final = 100
"""Fetches that are shown."""

SENDING: Final = 100
"""Studies that hospitals send and that are shown."""


@frozen
class StudyFetchNow:
    """A member that fetches a study, as it announced."""

    study: StudyId
    member: str
    address: str
    whole: bool | None
    sent: SentOnPage | None = None
    """Who sends it, where a hospital does."""


@frozen
class PublicationViews:
    """The page of transfers."""

    pages: Pages
    content: AdminContent
    listing: NetworkListing
    door: Door
    live: LiveUpdates

    async def transfers(self, request: Request, session: Session) -> Response:
        """All of it."""
        names = await self.listing.members()
        database = self.listing.database
        sending = await database.run(partial(read_sending, members=names, most=SENDING))
        fetches = []
        for address, member in names.items():
            for study, whole in self.content.members.studies(address, 0, FETCHED):
                if not whole:
                    name = clean(member.name)
                    fetches.append(StudyFetchNow(study, name, str(address), whole))
        more, fetches = len(fetches) > FETCHED, fetches[:FETCHED]
        studies = {one.study for one in fetches}
        sent = await database.run(partial(read_sent, studies=studies, members=names))
        fetches = [evolve(one, sent=sent.get(one.study)) for one in fetches]
        answer = self.pages.page(
            request,
            "transfers.html",
            session=session,
            publications=self.shown(),
            sending=sending,
            fetches=fetches,
            more=more,
            linked=sum(member.linked for member in names.values()),
        )
        answer.headers["Content-Security-Policy"] = LIVE_POLICY
        return answer

    async def card(self, request: Request, session: Session) -> Response:
        """One publication that an open page does not show yet."""
        progress = self.content.studies.publications.get(study_of(request))
        if progress is None:
            raise HTTPException(404, _("This study is not being published."))
        one = publication_words(progress)
        return self.pages.page(request, "publication.html", session=session, one=one)

    async def stream(self, request: Request, session: Session) -> Response:
        """What changes of publications."""

        async def is_valid() -> bool:
            found = await self.door.peek(request)
            return found is not None and found.rights == session.rights

        return EventStream(self.live.stream(lambda _topic: True, session.csrf, is_valid))

    def shown(self) -> Sequence[JsonObject]:
        """Publications under way, and the last ones that ended, the latest first."""
        return [publication_words(one) for one in shown_publications(self.content)]


def shown_publications(content: AdminContent) -> list[PublishProgress]:
    """Those under way, and the last ones that ended, the latest first."""
    every = list(content.studies.publications.values())[::-1]
    running = [one for one in every if not one.over]
    return running + [one for one in every if one.over][:ENDED]
