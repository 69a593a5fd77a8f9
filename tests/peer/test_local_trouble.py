"""A full disk or another program's lock under a running peer: refused, served, gone on with."""

import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
import trio
from sqlalchemy import select
from structlog.testing import capture_logs

from p2pacs.errors import DatabaseLockedError, DiskFullError
from p2pacs.identity.directory import Role
from p2pacs.ids import StudyId
from p2pacs.sql.sqlite import SqliteTuning
from peer.app import Peer
from peer.config import CATALOGUE_DB, PEER_DB
from peer.db import replications
from tests.peer.retrieval.test_study_fetch import LIMIT, by_uid, opened, read_all
from tests.peer.world import World, instances, open_world
from tests.small_disk import SmallDisk, small_disk
from tests.waiting import eventually

SHORT = SqliteTuning(try_seconds=0.1, thread_seconds=0.3, task_seconds=0.6)


@asynccontextmanager
async def _on_a_small_disk(
    folder: Path, role: Role = Role.HOSPITAL
) -> AsyncIterator[tuple[World, Peer, SmallDisk]]:
    """A peer whose databases lie on a small disk, and its chunks on another that has room."""
    with small_disk(folder / "a") as disk:
        (folder / "chunks").mkdir()
        (folder / "a" / "store").symlink_to(folder / "chunks")
        async with open_world(folder) as world:
            await world.broker.publish(instances(2))
            yield world, await world.add("a", role), disk
            await world.stop("a")


def _version(peer: Peer, world: World) -> int:
    record = peer.index.by_uid(world.broker.uid)
    return 0 if record is None else record.version


@pytest.mark.disk
async def test_a_hospital_on_a_full_disk(tmp_path: Path) -> None:
    async with _on_a_small_disk(tmp_path) as (world, peer, disk):
        await read_all(await opened(world, peer))
        before = _version(peer, world)
        disk.fill()
        # What needs to be written is refused, at once and with its reason: here, the audit.
        with trio.fail_after(LIMIT), pytest.raises(DiskFullError, match=r"peer\.db.*free space"):
            await opened(world, peer)
        # News that cannot be kept wait.
        sent = instances(3)
        await world.broker.publish(sent[2:])
        # What is only read is served: to a workstation that searches, and to others.
        assert len(await peer.overview.find({})) == 1
        world.broker.holders = [peer.identity.address]
        other = await world.add("b")  # its directory comes as news, too
        await read_all(await opened(world, other))
        assert _version(peer, world) == before
        disk.free()
        # It goes on by itself.
        await eventually(lambda: _version(peer, world) > before, LIMIT)
        assert await read_all(await opened(world, peer)) == by_uid(sent)


@pytest.mark.disk
async def test_a_replica_on_a_full_disk(tmp_path: Path) -> None:
    async with _on_a_small_disk(tmp_path, Role.REPLICA) as (world, peer, disk):
        disk.fill()
        peer.replica.order(world.broker.study)
        peer.replica.order(StudyId(bytes(16)))
        await world.broker.publish(instances(1, first=3))
        with trio.move_on_after(0.5):
            await eventually(lambda: world.broker.study in peer.host.engine.downloads.transfers)
        assert not peer.store.holds(world.broker.study)
        disk.free()
        await eventually(lambda: peer.store.holds(world.broker.study), LIMIT)
        with trio.fail_after(LIMIT):
            await peer.host.engine.downloads.transfers[world.broker.study].wait_complete()


@pytest.mark.disk
async def test_a_peer_that_is_started_on_a_full_disk_waits(tmp_path: Path) -> None:
    async with _on_a_small_disk(tmp_path) as (world, peer, disk):
        await read_all(await opened(world, peer))
        await world.stop("a")
        disk.fill()
        started = trio.Event()

        async def start() -> None:
            await world.start("a", tmp_path / "a", peer.settings)
            started.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(start)
            with trio.move_on_after(0.5):
                await started.wait()
            assert not started.is_set()
            disk.free()
            with trio.fail_after(LIMIT):
                await started.wait()
        await read_all(await opened(world, world.peers["a"]))


@contextmanager
def _locked(*paths: Path) -> Iterator[Callable[[], set[str]]]:
    """As another program that has these files to itself; tells for which of them somebody waits."""
    others = [sqlite3.connect(path, isolation_level=None) for path in paths]
    for other in others:
        other.execute("BEGIN EXCLUSIVE")
    try:
        with capture_logs() as said:
            yield lambda: {one["file"] for one in said if "has locked" in one["event"]}
    finally:
        for other in others:
            other.close()


@pytest.mark.parametrize("role", [Role.HOSPITAL, Role.REPLICA])
async def test_locked_databases_are_waited_for(tmp_path: Path, role: Role) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(2))
        peer = await world.add("a", role)
        if role is Role.HOSPITAL:
            await eventually(lambda: _version(peer, world) == 1)
        sent = instances(3)
        async with trio.open_nursery() as nursery:
            with _locked(tmp_path / "a" / PEER_DB, tmp_path / "a" / CATALOGUE_DB) as waiting:
                await world.broker.publish(sent[2:])
                if role is Role.HOSPITAL:
                    nursery.start_soon(_read, world, peer)
                else:
                    peer.replica.order(world.broker.study)
                await eventually(lambda: PEER_DB in waiting(), LIMIT)
                assert not peer.store.holds(world.broker.study)
                if role is Role.HOSPITAL:
                    assert len(await peer.overview.find({})) == 1
                    await eventually(lambda: CATALOGUE_DB in waiting(), LIMIT)
        await eventually(lambda: peer.store.holds(world.broker.study), LIMIT)
        if role is Role.HOSPITAL:
            await eventually(lambda: _version(peer, world) == 2, LIMIT)
            assert await read_all(await opened(world, peer)) == by_uid(sent)
        else:
            done = select(replications)
            with trio.fail_after(LIMIT):
                while await peer.database.run(lambda c: c.execute(done).all()):
                    await trio.sleep(0.01)


async def _read(world: World, peer: Peer) -> None:
    await read_all(await opened(world, peer))


async def test_a_lock_that_outlasts_all_patience_ends_nothing(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(2))
        peer = await world.add("a")
        await eventually(lambda: _version(peer, world) == 1)
        peer.database._tuning = peer.index._own._tuning = SHORT
        sent = instances(3)
        with _locked(tmp_path / "a" / PEER_DB, tmp_path / "a" / CATALOGUE_DB):
            await world.broker.publish(sent[2:])
            with trio.fail_after(LIMIT), pytest.raises(DatabaseLockedError):
                await _read(world, peer)
            assert len(await peer.overview.find({})) == 1
        await eventually(lambda: _version(peer, world) == 2, LIMIT)
        assert await read_all(await opened(world, peer)) == by_uid(sent)
