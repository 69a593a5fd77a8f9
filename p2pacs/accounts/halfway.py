"""Sign-ins that have given the right password and still owe a code. In memory alone."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from attrs import define, field

from p2pacs.errors import TooManyAttemptsError
from p2pacs.languages import _

LIFETIME: Final = 5 * 60 * 1000
"""Milliseconds until the password has to be given again: the phone may lie in another room."""

TRIES: Final = 5
"""Wrong codes until then, too."""

MOST: Final = 8
"""Of one account: the oldest goes. Others' are not concerned."""


@define(eq=False)
class Halfway:
    """One such sign-in."""

    account: str
    stored: str = field(repr=False)
    """What was kept of the password when it was checked."""
    source: str
    """Network address."""
    browser: str = field(repr=False)
    """By which the browser is known once it has signed in."""
    of_code: bytes
    """As what its codes are counted."""
    of_password: bytes
    """As what its password was counted."""
    began: int
    """Milliseconds since 1970."""
    tries: int = TRIES
    busy: bool = False

    @contextmanager
    def alone(self) -> Iterator[None]:
        """One code at a time.

        Raises:
            TooManyAttemptsError: one is being checked.
        """
        if self.busy:
            raise TooManyAttemptsError(_("A code is being checked. Try again in a moment."))
        self.busy = True
        try:
            yield
        finally:
            self.busy = False


class HalfwayStore:
    """All of them, by a random token."""

    def __init__(self) -> None:
        self._ones: OrderedDict[str, Halfway] = OrderedDict()

    def __len__(self) -> int:
        return len(self._ones)

    def add(self, one: Halfway) -> str:
        """Its token."""
        for token in [t for t, other in self._ones.items() if _is_over(other, one.began)]:
            del self._ones[token]
        theirs = [t for t, other in self._ones.items() if other.account == one.account]
        for token in theirs[: max(0, len(theirs) - MOST + 1)]:
            del self._ones[token]
        token = secrets.token_urlsafe(32)
        self._ones[token] = one
        return token

    def find(self, token: str, at: int) -> Halfway | None:
        """The one with this token, if it is not over."""
        one = self._ones.get(token)
        return None if one is None or _is_over(one, at) else one

    def wrong(self, token: str) -> int:
        """Its code was wrong; how many it may still try."""
        one = self._ones.get(token)
        if one is None:
            return 0
        one.tries -= 1
        if one.tries <= 0:
            self.remove(token)
        return one.tries

    def remove(self, token: str) -> None:
        """It is signed in, or gave up."""
        self._ones.pop(token, None)


def _is_over(one: Halfway, at: int) -> bool:
    return at - one.began >= LIFETIME
