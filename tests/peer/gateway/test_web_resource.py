"""What a request names, of a study on its way; whole answers are tried in `test_dicomweb`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio

from p2pacs.budget import Budget
from p2pacs.dicomweb.server.backend import Resource
from p2pacs.errors import NotFoundError, UnavailableError
from p2pacs.study.study_index import LeftOut
from peer.gateway.web_resource import WebResource
from peer.retrieval.requester import Requester
from tests.p2pacs.study import samples
from tests.peer.retrieval.test_study_fetch import LIMIT
from tests.peer.world import World, instances, open_world
from tests.waiting import eventually

SERIES = str(samples.dataset().SeriesInstanceUID)


async def _told(count: int) -> int:
    return count


@asynccontextmanager
async def reading(world: World, *below: str, told: int = 0) -> AsyncIterator[WebResource]:
    peer, uid = await world.add("a"), world.broker.uid
    await eventually(lambda: peer.index.by_uid(uid) is not None)
    fetch = await peer.reads.open(uid, Requester("DICOMweb 127.0.0.1", "get"))
    with fetch.in_use():
        yield WebResource(fetch, Resource.of(uid, *below), Budget(1), partial(_told, told))


async def uids(opened: WebResource) -> list[str]:
    with trio.fail_after(LIMIT):
        return [one.sop_instance_uid async for one in opened.instances()]


async def test_one_instance_does_not_wait_for_the_others(tmp_path: Path) -> None:
    sent = instances(3)
    async with open_world(tmp_path) as world:
        await world.broker.publish(sent, complete=False)
        async with reading(world, SERIES, sent[1].sop_instance_uid) as opened:
            assert await uids(opened) == [sent[1].sop_instance_uid]
            assert opened.tag is None
            (header,) = [one async for one in opened.headers()]
            assert header.resource.instance == sent[1].sop_instance_uid
            assert sent[1].data.startswith(header.data)


async def test_what_the_catalogue_tells_of_and_the_study_has_not(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(2))
        async with reading(world, told=5) as opened:
            assert len(await uids(opened)) == 2
            assert opened.missing == 3
            assert "more of it" in opened.why
            assert opened.transfer_syntaxes == [samples.EXPLICIT]


async def test_what_the_pacs_did_not_give(tmp_path: Path) -> None:
    left_out = LeftOut(uids=("1.2.3.9",), why="1 file is lost")
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(2), left_out=left_out)
        async with reading(world, SERIES, "1.2.3.9") as opened:
            with pytest.raises(UnavailableError, match="is lost"):
                await uids(opened)
            of_study = WebResource(
                opened.fetch, Resource.of(world.broker.uid), Budget(1), opened.promised
            )
            before = of_study.tag
            assert len(await uids(of_study)) == 2
            assert of_study.missing == 1
            assert before == of_study.tag is not None
            unknown = Resource.of(world.broker.uid, "1.2.3")
            nothing = WebResource(opened.fetch, unknown, Budget(1), opened.promised)
            with pytest.raises(NotFoundError, match="series"):
                await uids(nothing)
