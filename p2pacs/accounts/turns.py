"""Whose turn it is to have a password or a code checked.

Who asks is a browser that signed in before (it shows its cookie), an address that did, or a
stranger. Each kind waits in a room of its own, so that strangers cannot fill the others'; the
spaces between attempts are those of `pace`. An attempt counts when it is made: one whose
connection ends while it waits takes no turn from others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from enum import Enum

import trio
from attrs import frozen

from p2pacs.accounts.pace import OF_ACCOUNT, OF_CODE, OF_SOURCE, Pace, PaceTuning
from p2pacs.accounts.rows import Rows
from p2pacs.errors import TooManyAttemptsError
from p2pacs.languages import _
from p2pacs.limits import SIGN_INS, SIGN_INS_PER_SOURCE


@frozen
class SignInTuning:
    """What guessing costs."""

    source: PaceTuning = OF_SOURCE
    account: PaceTuning = OF_ACCOUNT
    code: PaceTuning = OF_CODE
    code_patience: float = 10.0
    """Seconds that a code waits for its turn; where that is longer, it has to be typed again."""
    waiting: int = SIGN_INS
    waiting_per_source: int = SIGN_INS_PER_SOURCE


class Asker(Enum):
    """Who asks."""

    BROWSER = "a browser that signed in before"
    NETWORK = "an address that signed in before"
    STRANGER = "a stranger"


class Turns:
    """Lets attempts pass, one after the other."""

    def __init__(self, tuning: SignInTuning | None = None) -> None:
        """Nobody waits yet."""
        self._tuning = tuning or SignInTuning()
        self._of_source = Pace(self._tuning.source)
        self._of_account = Pace(self._tuning.account)
        self._of_code = Pace(self._tuning.code)
        self._rows = Rows()
        self._waiting: dict[Asker, Counter[bytes]] = {asker: Counter() for asker in Asker}

    @asynccontextmanager
    async def password(self, asker: Asker, who: bytes, account: bytes) -> AsyncIterator[None]:
        """Wait for the turn of a password; it counts from then on.

        A stranger stands in the row of its address, and only the first of that row in the row of
        the account: of each address one attempt at most is ahead of somebody else's.

        Args:
            asker: what kind of them asks.
            who: as what its attempts are counted.
            account: whose password it may be.

        Raises:
            TooManyAttemptsError: too many wait already.
        """
        with self._place(asker, who):
            async with self._rows.first((asker, who)):
                await _until_free(self._of_source, who)
                if asker is Asker.STRANGER:
                    async with self._rows.first(account):
                        await _until_free(self._of_account, account)
                        self._of_account.take(account, trio.current_time())
                self._of_source.take(who, trio.current_time())
            yield

    async def code(self, who: bytes) -> None:
        """Wait for the turn of a code; it counts from then on.

        Raises:
            TooManyAttemptsError: that would take too long; it says how long.
        """
        async with self._rows.first(("code", who)):
            at = trio.current_time()
            wait = self._of_code.next_turn(who, at) - at
            if wait > self._tuning.code_patience:
                raise TooManyAttemptsError(
                    _(
                        "After several wrong codes the next can be tried in %(count)s s.",
                        count=round(wait),
                    )
                )
            await _until_free(self._of_code, who)
            self._of_code.take(who, trio.current_time())

    def space(self, who: bytes) -> float:
        """Seconds from the last password of this asker to its next at least."""
        return self._of_source.space(who)

    def right_password(self, who: bytes, account: bytes) -> None:
        """Its failures are forgotten."""
        self._of_source.succeeded(who)
        self._of_account.succeeded(account)

    def right_code(self, who: bytes) -> None:
        """Its wrong codes are forgotten."""
        self._of_code.succeeded(who)

    @contextmanager
    def _place(self, asker: Asker, who: bytes) -> Iterator[None]:
        waiting = self._waiting[asker]
        if (
            waiting[who] >= self._tuning.waiting_per_source
            or waiting.total() >= self._tuning.waiting
        ):
            raise TooManyAttemptsError(
                _("Too many sign-ins are waiting to be checked. Try again in half a minute.")
            )
        waiting[who] += 1
        try:
            yield
        finally:
            waiting[who] -= 1
            if not waiting[who]:
                del waiting[who]


async def _until_free(pace: Pace, who: bytes) -> None:
    """Until the next attempt may be made; others may have made theirs meanwhile."""
    while True:
        turn = pace.next_turn(who, trio.current_time())
        if turn <= trio.current_time():
            return
        await trio.sleep_until(turn)
