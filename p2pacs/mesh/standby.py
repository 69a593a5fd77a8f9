"""Links that a hospital holds while it fetches nothing. Pure: no clock, no I/O.

A link takes three round trips (TCP, TLS, `Hello`), and longer where many members dial at once. Who
holds some to the replicas begins a transfer at once.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from p2pacs.identity.directory import Directory, Role
from p2pacs.ids import VirtualAddress

REPLICAS: Final = 4
"""To so many replicas. Idle, a link costs 150 bytes every 30 seconds."""


def standby_replicas(directory: Directory, me: VirtualAddress) -> frozenset[VirtualAddress]:
    """The replicas to which a member always holds links; none if it is not a hospital.

    Each hospital has its own, so that replicas have about equally many (rendezvous hashing:
    Thaler and Ravishankar 1998), and keeps them when others come or go.
    """
    record = directory.get(me)
    if record is None or record.role is not Role.HOSPITAL:
        return frozenset()
    replicas = (
        one.address
        for one in directory.members
        if one.role is Role.REPLICA and one.endpoints and not one.revoked
    )
    ranked = sorted(replicas, key=lambda one: sha256(bytes(me) + bytes(one)).digest())
    return frozenset(ranked[:REPLICAS])
