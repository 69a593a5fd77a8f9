"""What is known of a meeting once both have said where they are. Pure: no clock, no I/O."""

from __future__ import annotations

from typing import Final

from attrs import frozen

from p2pacs.identity.directory import MemberRecord
from p2pacs.phrases import Phrase
from p2pacs.punch.addresses import Nearness, Target, same_host
from p2pacs.punch.offers import MeetingOffer
from p2pacs.punch.pairs import hopeless, why_not

NO_ADDRESS: Final = Phrase("it offered no address that may be dialled from here")


@frozen
class Encounter:
    """Two members that have exchanged offers."""

    record: MemberRecord
    """The other one's."""
    mine: MeetingOffer
    theirs: MeetingOffer
    seen: str
    """Where the neighbour sees the other one."""
    yours: str
    """Where it sees this one."""
    targets: tuple[Target, ...]
    """What is dialled."""
    token: bytes
    """What every connection of it begins with."""

    @property
    def has_hope(self) -> bool:
        """Whether anything may come of dialling."""
        inside = any(one.way is not Nearness.OUTER for one in self.targets)
        return inside or (bool(self.targets) and not hopeless(self.mine.nat, self.theirs.nat))

    @property
    def why_not(self) -> Phrase:
        """What kept the two from each other, as far as is known."""
        return why_not(self.mine.nat, self.theirs.nat) if self.targets else NO_ADDRESS

    def is_near(self, host: str) -> bool:
        """Whether a connection to or from this address stays behind the router of both."""
        near = (one.endpoint.host for one in self.targets if one.way is Nearness.LAN)
        return same_host(self.seen, self.yours) and host in near
