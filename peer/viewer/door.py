"""Who may open the viewer where people sign in: a ticket from the hospital's pages, once.

The viewer has an origin of its own, so the session of the pages does not reach it, and must not:
its scripts are other people's. Somebody who is signed in there gets a ticket, which the browser
brings here at once; for that it is given a cookie of this origin, good for as long as the session.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final

import trio
from attrs import field, frozen

from p2pacs.accounts.sessions import Session, token_hash
from p2pacs.errors import ForbiddenError
from p2pacs.units import Endpoint, HttpsOrigin
from peer.accounts.rights import UserRight

FindSession = Callable[[str], Awaitable[Session | None]]
"""The session of the pages to a token of it, if it is not over; it counts as used."""

_LONGEST: Final = 128


@frozen
class ViewerDoorTuning:
    """What `ViewerDoor` goes by; seconds."""

    ticket: float = 60.0
    """For the browser to bring it."""
    trusted: float = 5.0
    """After which it is looked again whether the session is over: a viewer asks for hundreds of
    frames."""
    tickets: int = 1024
    """That nobody has brought yet."""
    readers: int = 4096
    """Browsers that are known."""


@frozen
class ViewerTicket:
    """What a ticket is good for."""

    session: str = field(repr=False)
    """The token of the session of the pages."""
    study: str = field(repr=False)
    """The UID of the study that is opened."""
    until: float


@frozen
class _Admitted:
    session: str = field(repr=False)
    found: Session
    trusted_until: float


class ViewerDoor:
    """Tickets that were given, and browsers that came with one. For one event loop."""

    def __init__(
        self,
        find: FindSession,
        tuning: ViewerDoorTuning | None = None,
        *,
        outside: HttpsOrigin | None = None,
    ) -> None:
        """Nobody was here.

        Args:
            find: finds sessions of the pages.
            tuning: deadlines and bounds.
            outside: where browsers reach the viewer, if a reverse proxy stands before it.
        """
        self._port: int | None = None
        self._outside = outside
        self.secure = outside is not None
        """Whether browsers come to the viewer by HTTPS."""
        self._find = find
        self._tuning = tuning or ViewerDoorTuning()
        self._tickets: OrderedDict[bytes, ViewerTicket] = OrderedDict()
        self._readers: OrderedDict[bytes, _Admitted] = OrderedDict()

    def opened(self, where: Endpoint, *, secure: bool) -> None:
        """The viewer is served now.

        Args:
            where: with the real port.
            secure: whether by HTTPS.
        """
        self._port, self.secure = where.port, secure or self._outside is not None

    def origin(self, host: str) -> str | None:
        """Where a browser finds the viewer; None: nowhere.

        Args:
            host: of the pages, as the browser knows it.
        """
        if self._port is None:
            return None
        if self._outside is not None:
            return str(self._outside)
        name = f"[{host}]" if ":" in host else host
        return f"{'https' if self.secure else 'http'}://{name}:{self._port}"

    def shares_cookies(self, host: str, *, secure: bool) -> bool:
        """Whether the pages can give a browser the viewer's cookie: both are one host to it, as
        it tells hosts apart, and not ports.

        Args:
            host: of the pages, as the browser knows it.
            secure: whether it came to them by HTTPS.
        """
        same = self._outside is None or self._outside.host == host
        return self._port is not None and same and (secure or not self.secure)

    async def cookie(self, given: str, token: str) -> str:
        """The value of the cookie for a browser that has a session of the pages.

        Args:
            given: what it has: that stays, if it is of this session.
            token: of the session.

        Raises:
            ForbiddenError: the session is over, or may not look.
        """
        key = token_hash(given) if _may_be(given) else b""
        admitted = self._readers.get(key)
        if admitted is not None and admitted.session == token:
            return given
        session = await self._session(token)
        if session is None:
            raise ForbiddenError("sign in again, and open the study again")
        made = secrets.token_urlsafe(32)
        self._remember(token_hash(made), token, session)
        return made

    def ticket(self, session: str, study: str) -> str:
        """A ticket for who is signed in, good once and for a minute.

        Args:
            session: the token of the session of the pages.
            study: UID of the study that is opened.
        """
        made = secrets.token_urlsafe(32)
        until = trio.current_time() + self._tuning.ticket
        self._tickets[token_hash(made)] = ViewerTicket(session, study, until)
        while len(self._tickets) > self._tuning.tickets:
            self._tickets.popitem(last=False)
        return made

    async def admit(self, ticket: str) -> tuple[str, str]:
        """Take a ticket: the value of a cookie for the browser, and the UID of the study.

        Raises:
            ForbiddenError: it is none, was brought before or too late, or the session is over.
        """
        found = self._tickets.pop(token_hash(ticket), None) if _may_be(ticket) else None
        if found is None or trio.current_time() > found.until:
            raise ForbiddenError("this link was good once, for a minute: open the study again")
        session = await self._session(found.session)
        if session is None:
            raise ForbiddenError("sign in again, and open the study again")
        cookie = secrets.token_urlsafe(32)
        self._remember(token_hash(cookie), found.session, session)
        return cookie, found.study

    async def reader(self, cookie: str) -> Session | None:
        """Who asks with this cookie; None if nobody may with it (any more)."""
        key = token_hash(cookie) if _may_be(cookie) else b""
        admitted = self._readers.get(key)
        if admitted is None:
            return None
        if trio.current_time() < admitted.trusted_until:
            return admitted.found
        session = await self._session(admitted.session)
        if session is None:
            self._readers.pop(key, None)
            return None
        self._remember(key, admitted.session, session)
        return session

    async def _session(self, token: str) -> Session | None:
        found = await self._find(token)
        return found if found is not None and found.may(UserRight.LOOK) else None

    def _remember(self, key: bytes, token: str, session: Session) -> None:
        until = trio.current_time() + self._tuning.trusted
        self._readers[key] = _Admitted(token, session, until)
        self._readers.move_to_end(key)
        while len(self._readers) > self._tuning.readers:
            self._readers.popitem(last=False)


def _may_be(token: str) -> bool:
    return 0 < len(token) <= _LONGEST
