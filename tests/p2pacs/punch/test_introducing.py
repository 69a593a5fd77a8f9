"""A broker that is asked to introduce two hospitals, on real sockets."""

from pathlib import Path

import pytest
import trio

from p2pacs.errors import (
    AuthenticationError,
    BusyError,
    MalformedMessageError,
    NoSourceError,
    P2PacsError,
)
from p2pacs.identity.directory import Role
from p2pacs.identity.member_signature import MemberKey
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.limits import INTRODUCTIONS_A_MINUTE
from p2pacs.punch.introducing import Introducer, member_of
from p2pacs.punch.nat import Nat
from p2pacs.punch.offers import MeetingOffer
from p2pacs.swarm.node import Node
from p2pacs.wire.messages.messages import MeetQuery, Ping
from tests.p2pacs.swarm.nodes import Nodes

CT = StudyId(bytes(16))


async def ask(broker: Node, asker: VirtualAddress, other: VirtualAddress, offer: bytes) -> None:
    await Introducer(broker.host.mesh).answer(asker, MeetQuery(1, bytes(other), offer))


async def test_who_is_not_willing_is_not_met(tmp_path: Path) -> None:
    async with Nodes(tmp_path) as nodes:
        broker = await nodes.add("broker", Role.BROKER)
        one, other = await nodes.add("one"), await nodes.add("other")
        here, there = one.identity.address, other.identity.address
        for member in (here, there):
            with trio.fail_after(30):
                await broker.host.mesh.until_linked(member)
        key = MemberKey.load(one.identity.folder)
        offer = MeetingOffer(here, there, CT, 1, Nat.STEADY, ("203.0.113.9:4000",))
        with pytest.raises(P2PacsError, match="no study in common"):
            await ask(broker, here, there, offer.signed(key))
        with pytest.raises(AuthenticationError):
            await ask(broker, here, there, offer.signed(MemberKey.load(other.identity.folder)))
        with pytest.raises(P2PacsError, match="before the last one"):
            await ask(broker, here, there, offer.signed(key))
        with pytest.raises(MalformedMessageError):
            await ask(broker, here, there, b"")
        with pytest.raises(MalformedMessageError, match="itself"):
            await ask(broker, here, here, b"")
        with pytest.raises(AuthenticationError, match="directory"):
            await ask(broker, here, VirtualAddress(bytes([0xFD, *bytes(15)])), b"")
        nodes.revoke(other)
        with pytest.raises(P2PacsError):
            await ask(broker, here, there, offer.signed(key))


async def test_only_those_that_are_linked_and_not_too_often(tmp_path: Path) -> None:
    async with Nodes(tmp_path) as nodes:
        broker = await nodes.add("broker", Role.BROKER)
        one, other = nodes.network.member("one").address, await nodes.add("other")
        there = other.identity.address
        introducer = Introducer(broker.host.mesh)
        for _ in range(INTRODUCTIONS_A_MINUTE):
            with pytest.raises(NoSourceError, match="not linked"):
                await introducer.answer(one, MeetQuery(1, bytes(there), b""))
        with pytest.raises(BusyError):
            await introducer.answer(one, MeetQuery(1, bytes(there), b""))
        with pytest.raises(MalformedMessageError):
            await introducer.answer(one, Ping(1))


def test_addresses_are_checked() -> None:
    with pytest.raises(MalformedMessageError):
        member_of(bytes(16))
