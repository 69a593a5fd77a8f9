"""What people looked for, remembered here: nothing of it stands in a URL."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from typing import Final, Generic, TypeVar

SEARCHES: Final = 512
"""Searches that are remembered, of all who are signed in."""

S = TypeVar("S")


class SavedSearches(Generic[S]):
    """Searches under random names: so that a page of what was found can be gone back to."""

    def __init__(self, most: int = SEARCHES) -> None:
        self._most = most
        self._searches: OrderedDict[str, tuple[str, S]] = OrderedDict()

    def save(self, account: str, search: S) -> str:
        """Remember a search; its name."""
        name = secrets.token_urlsafe(12)
        self._searches[name] = account, search
        if len(self._searches) > self._most:
            self._searches.popitem(last=False)
        return name

    def get(self, account: str, name: str) -> S | None:
        """A search of this account, if it is remembered."""
        owner, search = self._searches.get(name, ("", None))
        return search if owner == account else None
