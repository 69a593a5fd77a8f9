"""Tokens that were just made, as long as their page may be reloaded. In memory alone.

A token is shown to the session that made it, for a quarter of an hour, until it is used, replaced
or put away.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from attrs import field, frozen

from broker.members.registry import Member
from p2pacs.accounts.sessions import Session
from p2pacs.ids import VirtualAddress
from p2pacs.limits import MEMBERS

SHOWN: Final = 15 * 60 * 1000
"""Milliseconds for which a page with a token can be reloaded."""


@frozen
class _Shown:
    token: str = field(repr=False)
    made: int
    expires: int | None
    """When the token itself ends: a newer token has another time, a used one none."""


class ShownTokens:
    """Keeps tokens by session and member."""

    def __init__(self, most: int = MEMBERS) -> None:
        """None yet.

        Args:
            most: so many are kept, of all sessions.
        """
        self._most = most
        self._shown: OrderedDict[tuple[str, VirtualAddress], _Shown] = OrderedDict()

    def keep(self, session: Session, member: Member, token: str, at: int) -> None:
        """This session may see this token from now on."""
        self._shown[session.csrf, member.address] = _Shown(token, at, member.token_expires)
        self._shown.move_to_end((session.csrf, member.address))
        if len(self._shown) > self._most:
            self._shown.popitem(last=False)

    def find(self, session: Session, member: Member, at: int) -> str | None:
        """The token, if it may still be seen and is still good."""
        shown = self._shown.get((session.csrf, member.address))
        if shown is None:
            return None
        if at - shown.made >= SHOWN or member.token_expires != shown.expires:
            self.forget(session, member.address)
            return None
        return shown.token

    def addresses(self, session: Session) -> list[VirtualAddress]:
        """Members of which this session may have a token, in the order in which they were made."""
        return [address for csrf, address in self._shown if csrf == session.csrf]

    def forget(self, session: Session, address: VirtualAddress) -> None:
        """The token is put away."""
        self._shown.pop((session.csrf, address), None)
