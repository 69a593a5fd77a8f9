"""How this member can be reached and what would help, as people read it. Pure: no clock, no I/O."""

from __future__ import annotations

from typing import Final

from p2pacs.phrases import Phrase
from p2pacs.punch.nat import Nat
from p2pacs.punch.whereabouts import Position

DIALLED: Final = Phrase("is dialled by the others at its endpoints")
NO_PORT: Final = Phrase("dials out only: this machine cannot share a port between sockets")
HOW: Final = {
    Nat.UNKNOWN: Phrase("is seen by too few others to tell what its router does"),
    Nat.NONE: Phrase("is seen at the address that it has, without a router that changes it"),
    Nat.STEADY: Phrase("is behind a router that gives all its connections one port: it can be met"),
    Nat.SYMMETRIC: Phrase(
        "is behind a router that gives every connection another port (symmetric NAT): only members"
        " whose routers let anybody in can be met"
    ),
    Nat.MAPPED: Phrase("is behind a router that leads a port to it: everybody can be met"),
}
HELP: Final = Phrase(
    "open a port in the router and set it as listen, with its outer address as advertise when"
    " joining; or let the router map ports (PCP or NAT-PMP); or use IPv6"
)


def how_reached(position: Position, *, has_endpoints: bool) -> Phrase:
    """How the others get to this member.

    Args:
        position: What it knows of itself.
        has_endpoints: Whether the directory tells where it is dialled.
    """
    if has_endpoints:
        return DIALLED
    return HOW[position.nat] if position.holds_port else NO_PORT


def what_helps(position: Position, *, has_endpoints: bool, misses: bool) -> Phrase | None:
    """What would make it easier to reach; None: nothing has to.

    Args:
        position: What it knows of itself.
        has_endpoints: Whether the directory tells where it is dialled.
        misses: Whether some member could not be met: whoever can be dialled misses none.
    """
    if has_endpoints or position.nat is Nat.MAPPED:
        return None
    needed = misses or not position.holds_port or position.nat is Nat.SYMMETRIC
    return HELP if needed else None
