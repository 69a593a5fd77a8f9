"""Whatever happens to the stored bytes of a study that was complete: found, and fetched again."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
import trio

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.identity.directory import Role
from p2pacs.ids import ChunkId
from peer.app import Peer
from peer.retrieval.instances.live_index import Known
from peer.retrieval.study_fetch import StudyFetch
from tests.peer.retrieval.test_study_fetch import LIMIT, by_uid, opened, read_all
from tests.peer.world import World, instances, open_world
from tests.waiting import eventually


def _one_bit(path: Path, place: float) -> None:
    data = bytearray(path.read_bytes())
    data[int(place * (len(data) - 1))] ^= 1
    path.write_bytes(data)


def _other_study(path: Path, size: float) -> None:
    path.write_bytes(b"other" * int(size * path.stat().st_size / 5))


def _removed(path: Path) -> None:
    path.unlink()


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "file").write_bytes(b"")


ROT: Final[dict[str, Callable[[Path], None]]] = {
    "a bit at the beginning": lambda path: _one_bit(path, 0),
    "a bit in the middle": lambda path: _one_bit(path, 0.5),
    "a bit at the end": lambda path: _one_bit(path, 1),
    "a longer file of another study": lambda path: _other_study(path, 1.5),
    "a shorter file of another study": lambda path: _other_study(path, 0.6),
    "an empty file": lambda path: os.truncate(path, 0),
    "removed": _removed,
    "a folder instead": _folder,
}


async def _complete(world: World, name: str) -> Peer:
    peer = await world.add(name)
    fetch = await opened(world, peer)
    await read_all(fetch)
    with trio.fail_after(LIMIT):
        await fetch.transfer.wait_complete()
    await peer.store.writer.flush()
    return peer


def _file(world: World, name: str) -> Path:
    return world.folder / name / "store" / "chunks" / f"{world.broker.study}.chunks"


async def _read_at_once(fetch: StudyFetch) -> dict[str, EncodedInstance]:
    """Every instance, all at the same time, as read-aheads and several workstations do."""
    found: dict[str, EncodedInstance] = {}

    async def read(known: Known) -> None:
        found[known.entry.sop_instance_uid] = await fetch.read(known)

    with fetch.in_use(), trio.fail_after(LIMIT):
        cursor = fetch.cursor()
        async with trio.open_nursery() as nursery:
            while (known := await cursor.next()) is not None:
                nursery.start_soon(read, known)
    return found


async def _is_sound(peer: Peer, world: World) -> None:
    """What nobody has read yet is found by scrubbing; opening the study fetches it."""
    held = await peer.store.study(world.broker.study)
    await held.verify()
    with trio.fail_after(LIMIT):
        await (await opened(world, peer)).transfer.wait_complete()
    assert await held.verify() == []
    assert list(held.have) == list((await world.broker.store.study(world.broker.study)).have)


READERS: Final = {"one by one": read_all, "at once": _read_at_once}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("state", ["open", "forgotten", "restarted"])
async def test_at_a_hospital(tmp_path: Path, state: str, reader: str) -> None:
    async with open_world(tmp_path) as world:
        sent = instances(30)
        await world.broker.publish(sent)
        peer = await _complete(world, "a")
        for how, rot in ROT.items():
            if state == "restarted":
                await world.stop("a")
            rot(_file(world, "a"))
            if state == "restarted":
                peer = await world.start("a", world.folder / "a", peer.settings)
            elif state == "forgotten":  # as when eight other studies were read since
                peer.reads.forget(world.broker.study)
            assert await READERS[reader](await opened(world, peer)) == by_uid(sent), how
            await _is_sound(peer, world)


@pytest.mark.parametrize("restarted", [False, True], ids=["running", "restarted"])
async def test_at_a_replica(tmp_path: Path, restarted: bool) -> None:
    """It fetches again by itself what it finds lost."""
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(30))
        peer = await world.add("r", Role.REPLICA)
        peer.replica.order(world.broker.study)
        whole = (await world.broker.store.study(world.broker.study)).have

        async def refilled() -> None:
            held = await peer.store.study(world.broker.study)
            await eventually(lambda: held.have == whole, LIMIT)
            await held.flush()

        await refilled()
        for how, rot in ROT.items():
            if restarted:
                await world.stop("r")
            rot(_file(world, "r"))
            if restarted:
                peer = await world.start("r", world.folder / "r", peer.settings)
            held = await peer.store.study(world.broker.study)
            await held.verify()  # as whoever reads it
            await refilled()
            assert await held.verify() == [], how


async def test_at_the_broker(tmp_path: Path) -> None:
    """What it cannot give any more comes from who holds it."""
    async with open_world(tmp_path) as world:
        sent = instances(30)
        await world.broker.publish(sent)
        holder = await _complete(world, "holder")
        world.broker.holders = [holder.identity.address]
        await world.broker.store.writer.flush()
        raw = _broker_file(world).read_bytes()
        for number, (how, rot) in enumerate(ROT.items()):
            rot(_broker_file(world))
            peer = await world.add(f"reader {number}")
            assert await read_all(await opened(world, peer)) == by_uid(sent), how
            await world.stop(f"reader {number}")
            # The real broker fetches it back (`Broker._recover`); here it is put back.
            await _put_back(world, holder)
        assert len(_broker_file(world).read_bytes()) >= len(raw)


def _broker_file(world: World) -> Path:
    folder = world.broker.identity.folder / "store" / "chunks"
    return folder / f"{world.broker.study}.chunks"


async def _put_back(world: World, holder: Peer) -> None:
    held = await world.broker.store.study(world.broker.study)
    other = await holder.store.study(world.broker.study)
    await held.verify()
    for number in other.have:
        data = await other.read(number, verify=True)
        await held.put(number, ChunkId.of(data), data)
    await held.flush()
