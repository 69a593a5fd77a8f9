from pathlib import Path

from p2pacs.ids import VirtualAddress
from peer.status import member_name, transfer_json, transfers_json
from tests.peer.test_fetch import opened, read_all
from tests.peer.world import instances, open_world


async def test_a_transfer_tells_what_came_from_whom(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(3))
        peer = await world.add("a")
        assert transfers_json(peer.node, peer.book) == []
        fetch = await opened(world, peer)
        await read_all(fetch)
        await fetch.transfer.wait_complete()
        said = transfer_json(fetch.transfer, peer.book)
        assert said["study"] == str(world.broker.study)
        assert said["state"] == "complete"
        assert said["error"] is None
        assert said["bytes_received"] == said["bytes_total"] > 0
        assert {name: one["bytes"] for name, one in said["sources"].items()} == {
            "broker": said["bytes_received"]
        }
        assert transfers_json(peer.node, peer.book) == [said]
        assert world.broker.uid not in str(said)


async def test_names(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        peer = await world.add("a")
        assert member_name(peer.book, peer.identity.address) == "a"
        stranger = VirtualAddress(b"\xfd" + bytes(14) + b"\x01")
        assert member_name(peer.book, stranger) == str(stranger)
