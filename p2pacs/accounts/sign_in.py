"""Signing in: a password is checked when it is its turn; guessing gets slow, not locked out.

Who asks is a browser that signed in before (it shows its cookie), an address that did, or a
stranger. Each kind waits in a room of its own, so that strangers cannot fill the others'; the
spaces between attempts are those of `pace`.
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
from p2pacs.accounts.passwords import ARGON2ID, LONGEST, stored_hash
from p2pacs.accounts.sessions import now
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
class Outcome:
    """What the audit trail is told."""

    account: str
    source: str
    """Network address; empty for many together."""
    failures: int
    """0: signed in; else how many of late, this one included."""


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
        record: Callable[[Connection, Outcome], None],
        *,
        passwords: Checker = ARGON2ID,
        tuning: SignInTuning | None = None,
        clock: Callable[[], int] = now,
    ) -> None:
        """Wait for nobody yet.

        Args:
            database: with the accounts.
            record: writes to the audit trail, in the transaction that it is given.
            passwords: checks them.
            tuning: what guessing costs.
            clock: milliseconds since 1970.
        """
        self._tuning = tuning or SignInTuning()
        self._database = database
        self._record = record
        self._passwords = passwords
        self._clock = clock
        self._of_source = Pace(self._tuning.source)
        self._of_account = Pace(self._tuning.account)
        self._waiting: dict[_Asker, Counter[bytes]] = {asker: Counter() for asker in _Asker}
        self._tally = Tally()

    async def sign_in(self, name: str, password: str, address: str, cookie: str = "") -> str:
        """Take a password when it is its turn: the cookie by which the browser is known from now.

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
        place = known_places.browser(name, cookie) if len(name) <= NAME else None
        network = known_places.network(name, source)

        def look(connection: Connection) -> tuple[_Asker, str | None]:
            at = self._clock()
            if place is not None and known_places.is_known(connection, place, at):
                return _Asker.BROWSER, stored_hash(connection, name)
            if known_places.is_known(connection, network, at):
                return _Asker.NETWORK, stored_hash(connection, name)
            return _Asker.STRANGER, stored_hash(connection, name) if len(name) <= NAME else None

        asker, stored = await self._database.run(look)
        who = place if asker is _Asker.BROWSER and place is not None else source.encode()
        with self._place(asker, who):
            await trio.sleep_until(self._turn(asker, who, name))
            good = len(password) <= LONGEST and await self._passwords.check(stored, password)
        if not good:
            await self._failed(NOBODY if stored is None else name, source)
            raise AuthenticationError(_wrong(self._of_source.space(who)))
        self._of_source.succeeded(who)
        self._of_account.succeeded(_account(name))
        cookie = cookie if asker is _Asker.BROWSER else known_places.new_cookie()
        await self._database.run(lambda c: self._succeeded(c, name, source, cookie))
        return cookie

    def _turn(self, asker: _Asker, who: bytes, name: str) -> float:
        at = trio.current_time()
        turn = self._of_source.reserve(who, at)
        if asker is _Asker.STRANGER:
            turn = max(turn, self._of_account.reserve(_account(name), at))
        return turn

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

    def _succeeded(self, connection: Connection, name: str, source: str, cookie: str) -> None:
        at = self._clock()
        for place in (known_places.browser(name, cookie), known_places.network(name, source)):
            if place is not None:
                known_places.remember(connection, name, place, at)
        self._record(connection, Outcome(name, source, failures=0))

    async def _failed(self, account: str, source: str) -> None:
        told: Told | None = self._tally.failed(source, trio.current_time())
        if told is not None:
            outcome = Outcome(account if told.source else NOBODY, told.source, told.count)
            await self._database.run(lambda c: self._record(c, outcome))


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
