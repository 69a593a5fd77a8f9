"""What a peer says of itself, and to whom it says nothing."""

from contextlib import aclosing
from pathlib import Path

import pytest

from p2pacs.errors import KeyUnavailableError, RevokedError
from p2pacs.identity.directory import Role
from p2pacs.ids import VirtualAddress
from p2pacs.swarm.scheduling.priority import Priority
from peer.retrieval.requester import Requester
from peer.retrieval.sent_here import SentHere
from tests.peer.world import instances, open_world
from tests.waiting import eventually


async def test_a_revoked_member_says_so(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        peer = await world.add("north")
        await eventually(lambda: peer.identity.broker in peer.host.mesh.links)
        assert (await peer.overview.status())["broker"] == {"linked": True, "refused": None}
        world.revoke("north")
        await eventually(lambda: peer.host.mesh.refused.get(peer.identity.broker))
        said = (await peer.overview.status())["broker"]
        assert (said["linked"], "north" in said["refused"]) == (False, True)
        assert "was revoked" in said["refused"]
        with pytest.raises(RevokedError, match="may not read: ask the administrator"):
            await peer.overview.find({})


async def test_a_replica_is_blind(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(1))
        replica = await world.add("r", Role.REPLICA)
        await eventually(lambda: replica.identity.broker in replica.host.mesh.links)
        assert await replica.overview.find({}) == []
        status = await replica.overview.status()
        assert (status["role"], status["gateway"]["dicom"]) == ("replica", None)
        with pytest.raises(KeyUnavailableError, match="a replica holds no keys to read with"):
            await replica.reads.open(world.broker.uid, Requester("TEST", "get"))


async def test_who_sent_what_comes_is_told(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(1))
        peer = await world.add("north")
        await eventually(lambda: len(peer.overview.catalogue) == 1)
        fetch = await peer.reads.open(world.broker.uid, Requester("TEST", "get"))
        assert (await peer.overview.transfer(fetch.transfer))["sent_by"] is None
        sender = VirtualAddress(b"\xfd" + bytes(15))
        await peer.sent_here.note(SentHere(fetch.study, sender, Priority.STAT, 1_000))
        told = await peer.overview.transfer(fetch.transfer)
        assert (told["sent_by"], told["stat"]) == (str(sender), True)
        async with aclosing(peer.overview.events()) as events:
            event = await anext(events)
        status = await peer.overview.status()
        assert event["transfers"][0]["sent_at"] == told["sent_at"]
        assert status["transfers"][0]["sent_at"] == "1970-01-01T00:00:01+00:00"


async def test_how_the_broker_sees_it(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        peer = await world.add("north")
        said = await peer.overview.reach()
        assert (said["reached"], said["missed"]) == (["10.0.0.1:4711"], [])
        assert (
            said["clock"] >= 60
        )  # the broker's clock is a minute behind, and answering takes time
