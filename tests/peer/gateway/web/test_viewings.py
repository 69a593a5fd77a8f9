"""What the audit tells of who looks at a study."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgpack
import pytest
import trio

from p2pacs.errors import CodingError
from peer.gateway.web.viewings import Viewings, ViewingTuning
from peer.retrieval.instances.live_index import Known
from peer.retrieval.requester import Requester
from tests.peer.world import World, instances, open_world
from tests.waiting import eventually

SOON = ViewingTuning(idle=0, sweep=0.01)
"""Whoever is not reading has stopped."""


@asynccontextmanager
async def viewed(
    folder: Path, tuning: ViewingTuning
) -> AsyncIterator[tuple[World, Viewings, trio.Nursery]]:
    """A study of three instances; who looks at it is found in the audit."""
    async with open_world(folder) as world, trio.open_nursery() as nursery:
        await world.broker.publish(instances(3))
        peer = await world.add("a")
        await eventually(lambda: peer.index.by_uid(world.broker.uid) is not None)
        viewings = Viewings(peer.reads, tuning)
        nursery.start_soon(viewings.run)
        yield world, viewings, nursery
        nursery.cancel_scope.cancel()


def reader(name: str = "A") -> Requester:
    return Requester(name, "get", detail="DICOMweb")


def told(world: World) -> list[dict[str, Any]]:
    return [msgpack.unpackb(raw) for raw in world.broker.audit]


async def known_of(viewings: Viewings, world: World, name: str = "A") -> list[Known]:
    fetch = (await viewings.open(world.broker.uid, reader(name))).fetch
    await fetch.transfer.wait_complete()
    await fetch.refresh()
    return list(fetch.known)


async def test_what_was_looked_at_is_told_when_it_is_over(tmp_path: Path) -> None:
    async with viewed(tmp_path, SOON) as (world, viewings, _):
        viewing = await viewings.open(world.broker.uid, reader())
        with viewing.in_use():
            known = await known_of(viewings, world)
            for _ in range(2):
                with viewing.giving(known[0]):
                    pass
            with viewing.giving(known[1]):
                pass
            assert await viewings.open(world.broker.uid, reader()) is viewing
            assert told(world) == []
        await eventually(lambda: len(told(world)) == 1)
        (read,) = told(world)
        assert (read["caller"], read["purpose"]) == ("A", "DICOMweb")
        assert (read["outcome"], read["sent"], read["total"]) == ("done", 2, 2)


async def test_several_requests_at_once_are_one_reader(tmp_path: Path) -> None:
    async with viewed(tmp_path, ViewingTuning()) as (world, viewings, _):
        async with trio.open_nursery() as readers:
            for name in "AABA":
                readers.start_soon(viewings.open, world.broker.uid, reader(name))
        assert await world.peers["a"].audit.waiting() == 2


async def test_what_was_not_given(tmp_path: Path) -> None:
    async with viewed(tmp_path, SOON) as (world, viewings, _):
        with (
            (await viewings.open(world.broker.uid, reader("A"))).in_use() as first,
            (await viewings.open(world.broker.uid, reader("B"))).in_use() as second,
        ):
            known = await known_of(viewings, world, "C")
            with pytest.raises(CodingError), first.giving(known[0]):
                raise CodingError("it does not decode")
            second.begun(known[0])  # and the client went away
        await eventually(lambda: len(told(world)) == 3)
        found = {
            read["caller"]: (read["outcome"], read["sent"], read["total"]) for read in told(world)
        }
        assert found["A"] == ("failed", 0, 1)
        assert found["B"] == ("interrupted", 0, 1)


async def test_who_goes_on_for_long_has_another_entry(tmp_path: Path) -> None:
    async with viewed(tmp_path, ViewingTuning(told=0)) as (world, viewings, _):
        for count in (0, 1, 2):
            await viewings.open(world.broker.uid, reader())
            await eventually(lambda count=count: len(told(world)) == count)


async def test_few_are_remembered_and_at_the_end_all_are_told(tmp_path: Path) -> None:
    async with viewed(tmp_path, ViewingTuning(remembered=1)) as (world, viewings, nursery):
        for name in "AB":
            await viewings.open(world.broker.uid, reader(name))
        await eventually(lambda: [read["caller"] for read in told(world)] == ["A"])
        nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            await eventually(lambda: len(told(world)) == 2)
