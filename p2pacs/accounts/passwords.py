"""Passwords: argon2id hashes, checked in constant time; what names and passwords must be like."""

from __future__ import annotations

import unicodedata
from typing import Final

import trio
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from p2pacs.errors import UsageError
from p2pacs.languages import _
from p2pacs.limits import NAME

SHORTEST: Final = 12
LONGEST: Final = 1024


def prepared(password: str) -> str:
    """A password as it is hashed, whatever keyboard it was typed on (OpaqueString of RFC 8265 4.2).

    The same letter with an accent is one character on one system and two on another: NFC makes it
    one. All kinds of spaces are one space. Nothing else is changed, case least of all.
    """
    spaced = (" " if unicodedata.category(one) == "Zs" else one for one in password)
    return unicodedata.normalize("NFC", "".join(spaced))


def _typed(password: str) -> tuple[str, ...]:
    """What this password may have been hashed as: prepared; or, before passwords were, as it was
    typed, on a system that composes letters or on one that takes them apart."""
    return tuple(
        dict.fromkeys([prepared(password), password, unicodedata.normalize("NFD", password)])
    )


class Passwords:
    """Hashes passwords and checks them; each takes a tenth of a second and 64 MiB, a check of one
    with more than ASCII up to three times as long."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        # argon2id with 64 MiB and three passes: RFC 9106, second recommended choice.
        self._hasher = hasher or PasswordHasher()
        self._nobodys: str | None = None
        self._one = trio.CapacityLimiter(1)

    def hash(self, password: str) -> str:
        """What is kept of a password."""
        return self._hasher.hash(prepared(password))

    def matches(self, stored: str | None, password: str) -> bool:
        """Whether this is the password; takes as long if there is no account (None)."""
        if self._nobodys is None:
            self._nobodys = self._hasher.hash("nobody's password")
        matching = any(self._verify(stored or self._nobodys, one) for one in _typed(password))
        return matching and stored is not None

    def _verify(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, password)
        except (VerificationError, InvalidHashError):
            return False

    async def make(self, password: str) -> str:
        """`hash` in a worker thread."""
        return await trio.to_thread.run_sync(self.hash, password, limiter=self._one)

    async def check(self, stored: str | None, password: str) -> bool:
        """`matches` in a worker thread, one at a time: each takes 64 MiB meanwhile."""
        return await trio.to_thread.run_sync(self.matches, stored, password, limiter=self._one)


ARGON2ID: Final = Passwords()


def check_name(name: str) -> None:
    """What the name of an account must be like.

    Raises:
        UsageError: it is not.
    """
    if not 0 < len(name) <= NAME or not name.isprintable() or name != name.strip():
        raise UsageError(
            _("the name of an account has 1 to %(most)s printable characters", most=NAME)
        )


def check_account(name: str, password: str) -> None:
    """What an account must be like.

    Raises:
        UsageError: it is not.
    """
    check_name(name)
    check_password(password)


def check_password(password: str) -> None:
    """What a password must be like.

    Raises:
        UsageError: it is not.
    """
    if not SHORTEST <= len(prepared(password)) <= LONGEST:
        raise UsageError(
            _(
                "a password has %(least)s to %(most)s characters; a sentence is good",
                least=SHORTEST,
                most=LONGEST,
            )
        )
