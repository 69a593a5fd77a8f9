from pathlib import Path

import msgpack
import pytest

from p2pacs.errors import KeyUnavailableError, NotFoundError
from p2pacs.identity.directory import Role
from peer import fetcher as fetcher_module
from peer.asker import Asker
from tests.peer.test_fetch import opened, read_all
from tests.peer.world import eventually, instances, open_world


async def test_reading_is_audited_with_what_was_asked(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(1))
        peer = await world.add("a")
        await opened(world, peer)
        await peer.fetcher.open(world.broker.uid, Asker("VIEWER", "move", detail="C-MOVE to WS2"))
        await eventually(lambda: len(world.broker.audit) == 2)
        records = [msgpack.unpackb(raw) for raw in world.broker.audit]
        assert [(one["caller"], one["purpose"]) for one in records] == [
            ("TEST", "get"),
            ("VIEWER", "C-MOVE to WS2"),
        ]
        assert all(world.broker.uid not in str(one) for one in records)


async def test_only_what_was_opened_can_be_got(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(1))
        peer = await world.add("a")
        with pytest.raises(NotFoundError, match="fetch it first"):
            peer.fetcher.get(world.broker.study)
        fetch = await opened(world, peer)
        assert peer.fetcher.get(world.broker.study) is fetch
        assert not peer.fetcher.in_use(world.broker.study)
        with fetch.in_use():
            assert peer.fetcher.in_use(world.broker.study)
        peer.fetcher.forget(world.broker.study)
        with pytest.raises(NotFoundError):
            peer.fetcher.get(world.broker.study)


async def test_idle_studies_are_forgotten_but_not_those_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetcher_module, "KEPT", 0)
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(1))
        peer = await world.add("a")
        fetch = await opened(world, peer)
        with fetch.in_use():
            assert await opened(world, peer) is fetch
        assert await opened(world, peer) is fetch


async def test_what_is_held_is_read_without_asking_anybody(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(2))
        peer = await world.add("a")
        record = world.broker.record()
        assert await peer.fetcher.held(record) is None
        fetch = await opened(world, peer)
        await read_all(fetch)
        await fetch.transfer.wait_complete()
        peer.fetcher.forget(record.study)
        asked, audited = len(world.broker.asked), len(world.broker.audit)
        held = await peer.fetcher.held(record)
        assert held is not None
        assert len(held.known) == 2
        assert (len(world.broker.asked), len(world.broker.audit)) == (asked, audited)


async def test_a_blind_replica_reads_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(1))
        replica = await world.add("r", Role.REPLICA)
        replica.index.upsert([world.broker.record()])
        monkeypatch.setattr(world.broker, "_wrapped", lambda _member, _study: b"")
        with pytest.raises(KeyUnavailableError, match="blind replica"):
            await opened(world, replica)
