from pathlib import Path

import trio

from p2pacs.instance import EncodedInstance
from peer.app import Peer
from peer.fetch import StudyFetch
from tests.peer.world import World, instances, open_world


async def _all(fetch: StudyFetch) -> dict[str, EncodedInstance]:
    found = {}
    with fetch.in_use(), trio.fail_after(20):
        cursor = fetch.cursor()
        while (known := await cursor.next()) is not None:
            found[known.entry.sop_instance_uid] = await fetch.read(known)
    return found


async def _opened(world: World, peer: Peer) -> StudyFetch:
    await peer.catalogue.catch_up()
    return await peer.fetcher.open(world.broker.uid, caller="TEST", purpose="get")


def _by_uid(sent: list[EncodedInstance]) -> dict[str, EncodedInstance]:
    return {one.sop_instance_uid: one for one in sent}


async def test_what_comes_out_is_what_went_in(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        sent = instances(5)
        await world.broker.publish(sent)
        peer = await world.add("a")
        assert await _all(await _opened(world, peer)) == _by_uid(sent)
        assert world.broker.asked == [("get", peer.identity.address)]
