from pathlib import Path

import pytest
import trio.testing

from p2pacs.errors import NoSourceError
from p2pacs.identity.directory import Role
from p2pacs.ids import ChunkId
from p2pacs.wire.messages.messages import Manifest, ManifestQuery, SegmentAnswer, SegmentQuery
from tests.simulation.world import Study, open_world

Clock = trio.testing.MockClock


async def test_manifests_are_served_from_the_store(autojump_clock: Clock, tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        broker = await world.add("broker", Role.BROKER)
        peer = await world.add("peer")
        study = Study(world.key)
        raw = study.grow(4)

        async def newer(version: int) -> bytes:
            query = ManifestQuery(0, bytes(study.id), version)
            reply = await peer.host.call(broker.address, query, timeout=5)
            assert isinstance(reply, Manifest)
            return reply.root

        assert await newer(0) == b""
        await study.put(broker.store)
        assert await newer(0) == raw
        assert await newer(1) == b""


async def test_segments_are_served_from_the_store(autojump_clock: Clock, tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        broker = await world.add("broker", Role.BROKER)
        peer = await world.add("peer")
        study = Study(world.key)
        study.grow(4)
        [segment] = study.list.segments()
        query = SegmentQuery(0, bytes(study.id), bytes(ChunkId.of(segment)))
        with pytest.raises(NoSourceError):
            await peer.host.call(broker.address, query, timeout=5)
        await study.put(broker.store)
        reply = await peer.host.call(broker.address, query, timeout=5)
        assert isinstance(reply, SegmentAnswer)
        assert reply.data == segment
