"""Which of several members on one LAN takes over the line what all of them fetch. Pure.

Of a study that a member sends each chunk leaves that member's line once, and whoever got it passes
it on over a line as narrow. Two neighbours on a LAN that both took it there kept the line of the
one who passes it on busy all the time (two receivers of a study, broker and replica side by side):
its last chunk came to the broker 0.3 s later for it. One of them takes it, and the other over the
LAN.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from attrs import frozen

from p2pacs.ids import VirtualAddress

RELIED_SECONDS: Final = 8.0
"""A neighbour that has got nothing for this long is not relied on."""


@frozen
class LanMate:
    """A member on this side's LAN that takes part in the study."""

    member: VirtualAddress
    fetching: bool
    priority: int
    """How urgent the study is to it."""
    moved_at: float
    """When it last said that it has something."""


def leaves_to_mates(
    me: VirtualAddress,
    priority: int,
    mates: Iterable[LanMate],
    brokers: Collection[VirtualAddress],
    now: float,
) -> bool:
    """Whether this member takes nothing over the line that a neighbour is about to take.

    A broker goes first, then the lowest address: so it is never each that leaves it to the other.

    Args:
        me: This member.
        priority: How urgent the study is here.
        mates: Its neighbours in this study.
        brokers: Who the brokers are.
        now: The present.
    """

    def turn(member: VirtualAddress) -> tuple[bool, VirtualAddress]:
        return member not in brokers, member

    return any(
        mate.fetching
        and mate.priority >= priority
        and now < mate.moved_at + RELIED_SECONDS
        and turn(mate.member) < turn(me)
        for mate in mates
    )
