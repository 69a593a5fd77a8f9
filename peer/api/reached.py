"""How this member and each other one is reached, as it is now, and what would help."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from attrs import frozen

from p2pacs.errors import P2PacsError
from p2pacs.identity.book import DirectoryBook
from p2pacs.identity.directory import MemberRecord
from p2pacs.ids import VirtualAddress
from p2pacs.output.json_object import JsonObject
from p2pacs.phrases import Phrase
from p2pacs.punch.position_words import how_reached, what_helps
from p2pacs.swarm.host import Host

_MET: Final = {
    True: Phrase("on the local network, both dialled at once"),
    False: Phrase("over the line, both dialled at once"),
}
"""Of links of members that could not dial each other, by whether that is on the LAN."""

_LINKED: Final = {
    (True, True): Phrase("on the local network, dialled from here"),
    (True, False): Phrase("on the local network, dialled from there"),
    (False, True): Phrase("over the line, dialled from here"),
    (False, False): Phrase("over the line, dialled from there"),
}
"""Of all others, by whether that is on the LAN, and whether this side dialled."""


class MemberLink(Protocol):
    """What is told of a link (`p2pacs.mesh.connection.Connection`)."""

    @property
    def dialled(self) -> bool:
        """Whether this side dialled."""

    @property
    def met(self) -> bool:
        """Whether neither could dial the other, and both did at once."""

    @property
    def lan(self) -> bool:
        """Whether the other side is on this side's local network."""


@frozen
class HowReached:
    """Looks at the links, and at what became of meetings."""

    host: Host
    book: DirectoryBook
    me: Callable[[], VirtualAddress]

    @property
    def how(self) -> Phrase | None:
        """How others get to this member; None: nobody knows (a simulation)."""
        puncher = self.host.puncher
        if puncher is None:
            return None
        return how_reached(puncher.position, has_endpoints=self._has_endpoints)

    @property
    def help(self) -> Phrase | None:
        """What would make it easier to reach; None: nothing has to."""
        puncher = self.host.puncher
        if puncher is None:
            return None
        misses = bool(self.apart())
        return what_helps(puncher.position, has_endpoints=self._has_endpoints, misses=misses)

    @property
    def _has_endpoints(self) -> bool:
        me = self.book.directory.get(self.me())
        return me is not None and bool(me.endpoints)

    def apart(self) -> dict[str, Phrase]:
        """Why a member could not be met that nobody can dial, as was found last, by its name."""
        found = {one.name: self.why(one) for one in self.book.directory.members if not one.revoked}
        return {name: why for name, why in found.items() if why is not None}

    def why(self, one: MemberRecord) -> Phrase | None:
        """Why a member could not be met; None: it is linked, or was not tried."""
        puncher = self.host.puncher
        return None if puncher is None else puncher.pairs.why(one.address)

    def member(self, one: MemberRecord) -> str:
        """How another member is reached, or why it is not."""
        mesh = self.host.mesh
        link, refused = mesh.links.get(one.address), mesh.refused.get(one.address)
        return how_member(one, link, refused, self.why(one))

    def json(self) -> JsonObject:
        """For `p2pacs status`."""
        how, helps = self.how, self.help
        return {
            "how": None if how is None else str(how),
            "help": None if helps is None else str(helps),
            "apart": {name: str(why) for name, why in self.apart().items()},
        }


def how_member(
    one: MemberRecord, link: MemberLink | None, refused: P2PacsError | None, apart: Phrase | None
) -> str:
    """How another member is reached, or why it is not. Pure.

    Args:
        one: The member.
        link: The open one.
        refused: Why it lets no link be.
        apart: Why it could not be met, as was found last.

    Returns:
        A phrase (`p2pacs.phrases`).
    """
    if link is not None:
        return linked_how(link)
    if one.revoked:
        return Phrase("expelled by the administrator")
    if refused is not None:
        return str(refused)
    if apart is not None:
        return Phrase("cannot be reached: %(why)s", why=apart)
    if not one.endpoints:
        return Phrase("dials out only: both dial at once when a study needs it")
    return Phrase("is dialled when a study needs it")


def linked_how(link: MemberLink) -> Phrase:
    """How a link came about."""
    return _MET[link.lan] if link.met else _LINKED[link.lan, link.dialled]
