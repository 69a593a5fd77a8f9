"""Leave to read that was given lately."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from p2pacs.catalogue.records import StudyRecord
from p2pacs.errors import ForbiddenError
from peer.gateway.web.leaves import Leaves, LeaveTuning
from peer.retrieval.audit import AuditedRead
from peer.retrieval.requester import Requester
from peer.retrieval.study_fetch import StudyFetch
from tests.peer.retrieval.test_study_fetch import LIMIT
from tests.peer.world import World, instances, open_world
from tests.waiting import eventually


@asynccontextmanager
async def given(folder: Path, tuning: LeaveTuning) -> AsyncIterator[tuple[World, Leaves]]:
    """A study that A was given leave to read, all of which is here."""
    async with open_world(folder) as world, trio.open_nursery() as nursery:
        await world.broker.publish(instances(2))
        peer = await world.add("a")
        await eventually(lambda: peer.index.by_uid(world.broker.uid) is not None)
        leaves = Leaves(peer.reads, tuning)
        nursery.start_soon(leaves.run)
        fetch, _ = await opened(leaves, world)
        await eventually(lambda: fetch.transfer.chunks is not None)
        with trio.fail_after(LIMIT):
            while not fetch.is_all_here:
                mark = fetch.mark()
                await fetch.refresh()
                if not fetch.is_all_here:
                    await fetch.changed(mark)
        yield world, leaves
        nursery.cancel_scope.cancel()


async def opened(leaves: Leaves, world: World, caller: str = "A") -> tuple[StudyFetch, AuditedRead]:
    told = list[StudyRecord]()
    requester = Requester(caller, "view", detail="DICOMweb WADO-RS")
    found = await leaves.open_audited(world.broker.uid, requester, told.append)
    assert [one.uid for one in told] == [world.broker.uid]
    return found


async def until_refused(leaves: Leaves, world: World) -> None:
    while True:  # until the answer to what was asked beside is here
        await opened(leaves, world)


async def test_the_broker_is_not_asked_each_time_and_the_audit_has_each(tmp_path: Path) -> None:
    async with given(tmp_path, LeaveTuning()) as (world, leaves):
        first, read = await opened(leaves, world)
        again, other = await opened(leaves, world)
        assert (first is again, read.id == other.id) == (True, False)
        assert len(world.broker.asked) == 1
        assert await world.peers["a"].audit.waiting() == 3
        await opened(leaves, world, "B")
        assert len(world.broker.asked) == 2


async def test_leave_ends(tmp_path: Path) -> None:
    async with given(tmp_path, LeaveTuning(trusted=0)) as (world, leaves):
        world.broker.forbidden = True
        with pytest.raises(ForbiddenError):
            await opened(leaves, world)


async def test_it_is_asked_for_again_beside_and_a_refusal_ends_it(tmp_path: Path) -> None:
    async with given(tmp_path, LeaveTuning(fresh=0)) as (world, leaves):
        await opened(leaves, world)
        await eventually(lambda: len(world.broker.asked) == 2)
        world.broker.forbidden = True
        with trio.fail_after(LIMIT), pytest.raises(ForbiddenError):
            await until_refused(leaves, world)


async def test_few_are_remembered(tmp_path: Path) -> None:
    async with given(tmp_path, LeaveTuning(remembered=1)) as (world, leaves):
        await opened(leaves, world, "B")
        await opened(leaves, world)
        assert len(world.broker.asked) == 3
