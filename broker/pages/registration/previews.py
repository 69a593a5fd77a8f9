"""Files of members that were looked through and not registered yet. In memory alone.

What is registered is what was shown: the browser sends the name of the preview alone, and only the
session that saw it can.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from broker.members.registry import Registration
from p2pacs.accounts.sessions import Session

MOST: Final = 16
"""Previews that are kept, of all sessions."""


class Previews:
    """Registrations by session and the name of their preview."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str], Sequence[Registration]] = OrderedDict()

    def keep(self, session: Session, registrations: Sequence[Registration]) -> str:
        """The name of a new preview."""
        name = secrets.token_urlsafe(16)
        self._kept[session.csrf, name] = registrations
        if len(self._kept) > MOST:
            self._kept.popitem(last=False)
        return name

    def take(self, session: Session, name: str) -> Sequence[Registration] | None:
        """What this session saw under this name, once; None if there is nothing."""
        return self._kept.pop((session.csrf, name), None)
