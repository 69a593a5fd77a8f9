"""Signing in: a password is checked when it is its turn; guessing gets slow, not locked out.

Where the account has a second factor, the right password only leads to the question for its code.
Whose turn it is, is in `turns`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

import trio
from attrs import field, frozen
from sqlalchemy import Connection

from p2pacs.accounts import known_places
from p2pacs.accounts.halfway import Halfway, HalfwayStore
from p2pacs.accounts.passwords import ARGON2ID, LONGEST
from p2pacs.accounts.people import stored_hash
from p2pacs.accounts.second_factor import has_second_factor, take_code
from p2pacs.accounts.sessions import Sessions, now
from p2pacs.accounts.tables import AccountsDatabase
from p2pacs.accounts.tally import Tally, Told
from p2pacs.accounts.turns import Asker, SignInTuning, Turns
from p2pacs.admission import source_of
from p2pacs.errors import AuthenticationError
from p2pacs.languages import N_, _, said
from p2pacs.limits import NAME

NOBODY: Final = "-"
"""The account in the trail where there is none of that name: people type passwords there."""

WRONG_CODE: Final = N_("The code is wrong. Type the one that is shown now.")


@frozen
class SignInOutcome:
    """What the audit trail is told."""

    account: str
    source: str
    """Network address; empty for many together."""
    failures: int
    """0: signed in; else how many of late, this one included."""
    code: bool = False
    """Whether the password was right, and the code of the second factor was not."""

    @property
    def detail(self) -> str:
        """Where from, and what was wrong."""
        if self.failures == 0:
            return f"from {self.source}"
        where = f"from {self.source}" if self.source else "from further addresses"
        often = f" ({self.failures} times of late)" if self.failures > 1 else ""
        wrong = "right password, wrong code" if self.code else "wrong name or password"
        return f"{where}: {wrong}{often}"


RecordSignIn = Callable[[Connection, SignInOutcome], None]
"""Writes to the audit trail, in the transaction that it is given."""


@frozen
class SignedIn:
    """What the browser of somebody who signed in is given, as cookies."""

    session: str
    browser: str
    """By which the browser is known from now on."""


@frozen
class CodeWanted:
    """The password was right; `SignIn.finish` takes the code of the second factor."""

    token: str


@frozen
class CheckedPassword:
    """A password that was right."""

    stored: str = field(repr=False)
    """What was kept of it when it was checked."""
    asker: Asker
    who: bytes
    """As what its attempts are counted."""
    source: str
    """Network address."""


class Checker(Protocol):
    """Checks passwords against what is kept of them (`p2pacs.accounts.passwords`)."""

    async def make(self, password: str) -> str:
        """What is kept of a password."""

    async def check(self, stored: str | None, password: str) -> bool:
        """Whether this is the password; takes as long if there is no account (None)."""


class SignIn:
    """Checks passwords and codes, each in its turn."""

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
        self._turns = Turns(tuning)
        self._database = database
        self._sessions = sessions
        self._record = record
        self._passwords = passwords
        self._clock = clock
        self._halfway = HalfwayStore()
        self._wrong_passwords = Tally()
        self._wrong_codes = Tally()

    # ------------------------------------------------------------ passwords

    async def sign_in(
        self, name: str, password: str, address: str, cookie: str = ""
    ) -> SignedIn | CodeWanted:
        """Take a password when it is its turn, and start a session, or ask for the code.

        Args:
            name: what was typed as the account's name.
            password: what was typed.
            address: network address that asks.
            cookie: by which the browser was known before, if it was.

        Raises:
            AuthenticationError: no such account, or another password; both look alike.
            TooManyAttemptsError: too many wait already; try again in a moment.
        """
        good = await self.check(name, password, address, cookie)
        is_known = good.asker is Asker.BROWSER
        one = Halfway(
            account=name,
            stored=good.stored,
            source=good.source,
            browser=cookie if is_known else known_places.new_cookie(),
            of_code=good.who if is_known else _account(name),
            of_password=good.who,
            began=self._clock(),
        )
        done = await self._database.run(lambda c: self._begin(c, one))
        if done is None:
            raise await self._failed(name, good.who, good.source)
        if isinstance(done, SignedIn):
            self._turns.right_password(good.who, _account(name))
            return done
        return CodeWanted(self._halfway.add(one))

    async def check(
        self, name: str, password: str, address: str, cookie: str = ""
    ) -> CheckedPassword:
        """Take a password when it is its turn; somebody who is signed in is asked for it, too.

        Raises:
            AuthenticationError: as `sign_in`.
            TooManyAttemptsError: as `sign_in`.
        """
        source = source_of(address)
        asker, who = await self._asker(name, source, cookie)
        async with self._turns.password(asker, who, _account(name)):
            stored = await self._stored(name)  # not before: it may have changed during the wait
            good = len(password) <= LONGEST and await self._passwords.check(stored, password)
        if stored is None or not good:
            raise await self._failed(NOBODY if stored is None else name, who, source)
        return CheckedPassword(stored, asker, who, source)

    async def _asker(self, name: str, source: str, cookie: str) -> tuple[Asker, bytes]:
        """Who asks, and as what its attempts are counted."""
        place = known_places.browser(name, cookie) if len(name) <= NAME else None
        network = known_places.network(name, source)

        def look(connection: Connection) -> tuple[Asker, bytes]:
            at = self._clock()
            if place is not None and known_places.is_known(connection, place, at):
                return Asker.BROWSER, place
            if known_places.is_known(connection, network, at):
                return Asker.NETWORK, source.encode()
            return Asker.STRANGER, source.encode()

        return await self._database.run(look)

    async def _stored(self, name: str) -> str | None:
        if len(name) > NAME:
            return None
        return await self._database.run(lambda c: stored_hash(c, name))

    # ------------------------------------------------------------ codes

    async def finish(self, token: str, code: str) -> SignedIn | None:
        """Take the code of the second factor when it is its turn, and start the session.

        Args:
            token: out of `CodeWanted`.
            code: as typed: of the app, or a recovery code.

        Returns:
            None: it took too long, or too many were wrong: the password has to be given again.

        Raises:
            AuthenticationError: another code.
            TooManyAttemptsError: after several wrong ones; it says when to try again.
        """
        one = self._halfway.find(token, self._clock())
        if one is None:
            return None
        with one.alone():
            await self._turns.code(one.of_code)
            done = await self._database.run(lambda c: self._finish(c, one, code))
        if done is not None:
            self._halfway.remove(token)
            self._turns.right_code(one.of_code)
            self._turns.right_password(one.of_password, _account(one.account))
            return done
        await self._tell(self._wrong_codes, one.account, one.source, code=True)
        if self._halfway.wrong(token) <= 0:
            return None
        raise AuthenticationError(said(WRONG_CODE))

    async def take_code(self, account: str, code: str) -> None:
        """Take a code of somebody who is signed in, who changes the second factor.

        Raises:
            AuthenticationError: another code.
            TooManyAttemptsError: as `finish`.
        """
        who = _account(account)
        await self._turns.code(who)
        if not await self._database.run(lambda c: take_code(c, account, code, self._clock())):
            raise AuthenticationError(said(WRONG_CODE))
        self._turns.right_code(who)

    # ------------------------------------------------------------ on a transaction

    def _begin(self, connection: Connection, one: Halfway) -> SignedIn | CodeWanted | None:
        """A session, or what is still to do; None: the password was changed meanwhile."""
        if stored_hash(connection, one.account) != one.stored:
            return None
        if has_second_factor(connection, one.account):
            return CodeWanted("")
        return self._enter(connection, one)

    def _finish(self, connection: Connection, one: Halfway, code: str) -> SignedIn | None:
        if stored_hash(connection, one.account) != one.stored:
            return None
        if not take_code(connection, one.account, code, self._clock()):
            return None
        return self._enter(connection, one)

    def _enter(self, connection: Connection, one: Halfway) -> SignedIn:
        self._record(connection, SignInOutcome(one.account, one.source, failures=0))
        return self.enter(connection, one.account, one.source, one.browser)

    def enter(self, connection: Connection, account: str, source: str, browser: str) -> SignedIn:
        """A session for somebody who has proved to be the account's owner.

        Args:
            connection: a transaction.
            account: whose.
            source: network address.
            browser: by which the browser is known from now on.
        """
        at = self._clock()
        places = known_places.browser(account, browser), known_places.network(account, source)
        for place in places:
            if place is not None:
                known_places.remember(connection, account, place, at)
        return SignedIn(self._sessions.start(connection, account, source), browser)

    # ------------------------------------------------------------ failures

    async def _failed(self, account: str, who: bytes, source: str) -> AuthenticationError:
        await self._tell(self._wrong_passwords, account, source)
        return AuthenticationError(_wrong(self._turns.space(who)))

    async def _tell(self, tally: Tally, account: str, source: str, *, code: bool = False) -> None:
        told: Told | None = tally.failed(source, trio.current_time())
        if told is not None:
            name = account if told.source else NOBODY
            outcome = SignInOutcome(name, told.source, told.count, code)
            await self._database.run(lambda c: self._record(c, outcome))


def _account(name: str) -> bytes:
    return known_places.network(name, "")


def _wrong(space: float) -> str:
    """What somebody is told whose password is wrong; the space to the next, once there is one."""
    wrong = _("The name or the password is wrong.")
    if not space:
        return wrong
    waits = _(
        "After several wrong ones the next waits, now %(count)s s: nobody is locked out.",
        count=round(space),
    )
    return f"{wrong} {waits}"
