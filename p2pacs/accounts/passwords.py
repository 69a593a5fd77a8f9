"""Passwords: argon2id hashes, checked in constant time; what names and passwords must be like."""

from __future__ import annotations

from typing import Final

import trio
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from p2pacs.errors import UsageError
from p2pacs.limits import NAME

SHORTEST: Final = 12
LONGEST: Final = 1024


class Passwords:
    """Hashes passwords and checks them; each takes a tenth of a second and 64 MiB."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        # argon2id with 64 MiB and three passes: RFC 9106, second recommended choice.
        self._hasher = hasher or PasswordHasher()
        self._nobodys: str | None = None
        self._one = trio.CapacityLimiter(1)

    def hash(self, password: str) -> str:
        """What is kept of a password."""
        return self._hasher.hash(password)

    def matches(self, stored: str | None, password: str) -> bool:
        """Whether this is the password; takes as long if there is no account (None)."""
        if self._nobodys is None:
            self._nobodys = self._hasher.hash("nobody's password")
        try:
            self._hasher.verify(stored or self._nobodys, password)
        except (VerificationError, InvalidHashError):
            return False
        return stored is not None

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
        raise UsageError(f"the name of an account has 1 to {NAME} printable characters")


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
    if not SHORTEST <= len(password) <= LONGEST:
        raise UsageError(f"a password has {SHORTEST} to {LONGEST} characters; a sentence is good")
