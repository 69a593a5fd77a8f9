"""Signing in: a password is checked when it is its turn; guessing gets slow, not locked out.

Who asks is a browser that signed in before (it shows its cookie), an address that did, or a
stranger. Each kind waits in a room of its own, so that strangers cannot fill the others'; the
spaces between attempts are those of `pace`. An attempt counts when it is made: one whose
connection ends while it waits takes no turn from others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Final, Protocol

import trio
from attrs import frozen
from sqlalchemy import Connection

from p2pacs.accounts import known_places
from p2pacs.accounts.pace import OF_ACCOUNT, OF_SOURCE, Pace, PaceTuning
from p2pacs.accounts.passwords import ARGON2ID, LONGEST
from p2pacs.accounts.people import stored_hash
from p2pacs.accounts.rows import Rows
from p2pacs.accounts.sessions import Sessions, now
from p2pacs.accounts.tables import AccountsDatabase
from p2pacs.accounts.tally import Tally, Told
from p2pacs.admission import source_of
from p2pacs.errors import AuthenticationError, TooManyAttemptsError
from p2pacs.limits import NAME, SIGN_INS, SIGN_INS_PER_SOURCE

NOBODY: Final = "-"
"""The account in the trail where there is none of that name: people type passwords there."""


@frozen
class SignInTuning:
    """What guessing costs."""

    source: PaceTuning = OF_SOURCE
    account: PaceTuning = OF_ACCOUNT
    waiting: int = SIGN_INS
    waiting_per_source: int = SIGN_INS_PER_SOURCE


@frozen
class SignInOutcome:
    """What the audit trail is told."""

    account: str
    source: str
    """Network address; empty for many together."""
    failures: int
    """0: signed in; else how many of late, this one included."""

    @property
    def detail(self) -> str:
        """Where from, and what was wrong."""
        if self.failures == 0:
            return f"from {self.source}"
        where = f"from {self.source}" if self.source else "from further addresses"
        often = f" ({self.failures} times of late)" if self.failures > 1 else ""
        return f"{where}: wrong name or password{often}"


RecordSignIn = Callable[[Connection, SignInOutcome], None]
"""Writes to the audit trail, in the transaction that it is given."""


@frozen
class SignedIn:
    """What the browser of somebody who signed in is given, as cookies."""

    session: str
    browser: str
    """By which the browser is known from now on."""


class Checker(Protocol):
    """Checks passwords against what is kept of them (`p2pacs.accounts.passwords`)."""

    async def check(self, stored: str | None, password: str) -> bool:
        """Whether this is the password; takes as long if there is no account (None)."""


class _Asker(Enum):
    BROWSER = "a browser that signed in before"
    NETWORK = "an address that signed in before"
    STRANGER = "a stranger"


class SignIn:
    """Checks passwords, each in its turn."""

    def __init__(
        self,
        database: AccountsDatabase,
        sessions: Sessions,
        record: RecordSignIn,
        *,
        passwords: Checker = ARGON2ID,
        tuning: SignInTuning | None = None,
        clock: Callable[[], int] = now,
    ) -> None:
        """Wait for nobody yet.

        Args:
            database: with the accounts.
            sessions: starts one for who has the right password.
            record: writes to the audit trail.
            passwords: checks them.
            tuning: what guessing costs.
            clock: milliseconds since 1970.
        """
        self._tuning = tuning or SignInTuning()
        self._database = database
        self._sessions = sessions
        self._record = record
        self._passwords = passwords
        self._clock = clock
        self._of_source = Pace(self._tuning.source)
        self._of_account = Pace(self._tuning.account)
        self._rows = Rows()
        self._waiting: dict[_Asker, Counter[bytes]] = {asker: Counter() for asker in _Asker}
        self._tally = Tally()

    async def sign_in(self, name: str, password: str, address: str, cookie: str = "") -> SignedIn:
        """Take a password when it is its turn, and start a session.

        Args:
            name: what was typed as the account's name.
            password: what was typed.
            address: network address that asks.
            cookie: by which the browser was known before, if it was.

        Raises:
            AuthenticationError: no such account, or another password; both look alike.
            TooManyAttemptsError: too many wait already; try again in a moment.
        """
        source = source_of(address)
        asker, who = await self._asker(name, source, cookie)
        with self._place(asker, who):
            await self._turn(asker, who, name)
            stored = await self._stored(name)  # not before: it may have changed during the wait
            good = len(password) <= LONGEST and await self._passwords.check(stored, password)
        if good:
            browser = cookie if asker is _Asker.BROWSER else known_places.new_cookie()
            signed_in = await self._database.run(
                lambda c: self._succeeded(c, name, source, browser, stored)
            )
            if signed_in is not None:
                self._of_source.succeeded(who)
                self._of_account.succeeded(_account(name))
                return signed_in
        await self._failed(NOBODY if stored is None else name, source)
        raise AuthenticationError(_wrong(self._of_source.space(who)))

    async def _asker(self, name: str, source: str, cookie: str) -> tuple[_Asker, bytes]:
        """Who asks, and as what its attempts are counted."""
        place = known_places.browser(name, cookie) if len(name) <= NAME else None
        network = known_places.network(name, source)

        def look(connection: Connection) -> tuple[_Asker, bytes]:
            at = self._clock()
            if place is not None and known_places.is_known(connection, place, at):
                return _Asker.BROWSER, place
            if known_places.is_known(connection, network, at):
                return _Asker.NETWORK, source.encode()
            return _Asker.STRANGER, source.encode()

        return await self._database.run(look)

    async def _stored(self, name: str) -> str | None:
        if len(name) > NAME:
            return None
        return await self._database.run(lambda c: stored_hash(c, name))

    async def _turn(self, asker: _Asker, who: bytes, name: str) -> None:
        """Wait for the turn; it counts from then on.

        A stranger stands in the row of its address, and only the first of that row in the row of
        the account: of each address one attempt at most is ahead of somebody else's.
        """
        async with self._rows.first((asker, who)):
            await _until_free(self._of_source, who)
            if asker is _Asker.STRANGER:
                account = _account(name)
                async with self._rows.first(account):
                    await _until_free(self._of_account, account)
                    self._of_account.take(account, trio.current_time())
            self._of_source.take(who, trio.current_time())

    @contextmanager
    def _place(self, asker: _Asker, who: bytes) -> Iterator[None]:
        waiting = self._waiting[asker]
        if (
            waiting[who] >= self._tuning.waiting_per_source
            or waiting.total() >= self._tuning.waiting
        ):
            raise TooManyAttemptsError(
                "Too many sign-ins are waiting to be checked. Try again in half a minute."
            )
        waiting[who] += 1
        try:
            yield
        finally:
            waiting[who] -= 1
            if not waiting[who]:
                del waiting[who]

    def _succeeded(
        self, connection: Connection, name: str, source: str, cookie: str, stored: str | None
    ) -> SignedIn | None:
        """A session, unless the password was changed while this one was checked."""
        if stored is None or stored_hash(connection, name) != stored:
            return None
        at = self._clock()
        for place in (known_places.browser(name, cookie), known_places.network(name, source)):
            if place is not None:
                known_places.remember(connection, name, place, at)
        self._record(connection, SignInOutcome(name, source, failures=0))
        return SignedIn(self._sessions.start(connection, name, source), cookie)

    async def _failed(self, account: str, source: str) -> None:
        told: Told | None = self._tally.failed(source, trio.current_time())
        if told is not None:
            outcome = SignInOutcome(account if told.source else NOBODY, told.source, told.count)
            await self._database.run(lambda c: self._record(c, outcome))


async def _until_free(pace: Pace, who: bytes) -> None:
    """Until the next attempt may be made; others may have made theirs meanwhile."""
    while True:
        turn = pace.next_turn(who, trio.current_time())
        if turn <= trio.current_time():
            return
        await trio.sleep_until(turn)


def _account(name: str) -> bytes:
    return known_places.network(name, "")


def _wrong(space: float) -> str:
    """What somebody is told whose password is wrong; the space to the next, once there is one."""
    said = "The name or the password is wrong."
    if space:
        said += (
            f" After several wrong ones the next waits, now {space:.0f} s: nobody is locked out."
        )
    return said
