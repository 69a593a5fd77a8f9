"""What a request names, of a study on its way; whole answers are tried in `test_dicomweb`."""

import hashlib
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio
from attrs import define

from p2pacs.catalogue.question import Selection
from p2pacs.concurrency.budget import Budget
from p2pacs.dicomweb.server.backend import InstanceData, Resource
from p2pacs.errors import NotFoundError, P2PacsError, UnavailableError
from p2pacs.ids import StudyId
from p2pacs.study.study_index import LeftOut
from peer.app import Peer
from peer.gateway.studies.announced import Announced
from peer.gateway.web.metadata_texts import MetadataTexts
from peer.gateway.web.resource import WebResource, asks_for
from peer.retrieval.instances.live_index import Known
from peer.retrieval.requester import Requester
from peer.retrieval.study_fetch import StudyFetch
from tests.p2pacs.study import samples
from tests.peer.retrieval.test_study_fetch import LIMIT
from tests.peer.world import World, instances, open_world
from tests.waiting import eventually

SERIES = str(samples.dataset().SeriesInstanceUID)


class Told:
    """What the audit was told."""

    def __init__(self) -> None:
        self.given = 0
        self.errors: list[P2PacsError | None] = []

    def begun(self, known: Known) -> None:
        pass

    def arrived(self, known: Known) -> None:
        self.given += 1

    def ended(self, short: int, error: P2PacsError | None) -> None:
        self.errors.append(error)


@define(eq=False)
class Silent(Announced):
    """A catalogue that tells of so many, and has no news."""

    told: int = 0

    async def count(self, study: StudyId) -> int:
        return self.told


async def _count(compared: list[None] | None) -> None:
    if compared is not None:
        compared.append(None)


@asynccontextmanager
async def resource(
    peer: Peer,
    fetch: StudyFetch,
    *below: str,
    told: int = 0,
    uid: str = samples.STUDY_UID,
    compared: list[None] | None = None,
) -> AsyncIterator[WebResource]:
    named = Resource.of(uid, *below)
    asked = Selection("IMAGE", (), (uid,), (), ())
    announced = Silent(peer.index, peer.catalogue, asked, told)
    cursor = fetch.cursor(partial(asks_for, named))
    texts = MetadataTexts()
    async with trio.open_nursery() as nursery:
        compare = partial(_count, compared)
        opened = WebResource(
            fetch, named, cursor, Budget(1), announced, Told(), nursery, texts, compare
        )
        yield opened
        nursery.cancel_scope.cancel()
    opened.close()


@asynccontextmanager
async def reading(world: World, *below: str, told: int = 0) -> AsyncIterator[WebResource]:
    peer, uid = await world.add("a"), world.broker.uid
    await eventually(lambda: peer.index.by_uid(uid) is not None)
    fetch = await peer.reads.open(uid, Requester("DICOMweb 127.0.0.1", "get"))
    with fetch.in_use():
        async with resource(peer, fetch, *below, told=told) as opened:
            yield opened


async def whole(one: InstanceData) -> bytes:
    return b"".join([piece async for piece in one.pieces()])


async def uids(opened: WebResource) -> list[str]:
    with trio.fail_after(LIMIT):
        return [one.outline.sop_instance_uid async for some in opened.instances() for one in some]


async def test_one_instance_does_not_wait_for_the_others(tmp_path: Path) -> None:
    sent = instances(3)
    async with open_world(tmp_path) as world:
        await world.broker.publish(sent, complete=False)
        async with reading(world, SERIES, sent[1].sop_instance_uid) as opened:
            assert await uids(opened) == [sent[1].sop_instance_uid]
            assert opened.tag is None
            ((text,),) = [some async for some in opened.metadata()]
            told = json.loads(text.under("http://here"))
            assert told["00080018"]["Value"] == [sent[1].sop_instance_uid]
            assert told["7FE00010"]["BulkDataURI"].startswith("http://here/studies/")


async def test_those_that_lie_decoded_are_given_together(tmp_path: Path) -> None:
    sent = instances(6)
    async with open_world(tmp_path) as world:
        await world.broker.publish(sent)
        async with reading(world) as opened:
            assert len(await uids(opened)) == len(sent)
            peer, fetch = world.peers["a"], opened.fetch
            assert opened.outline == [known.entry for known in fetch.known]
            for one in sent:
                await peer.decoded.keep(hashlib.sha256(one.data).digest(), one.data)
            async with resource(peer, fetch) as again:
                given = []
                async for some in again.instances():
                    given.append([await whole(one) for one in some])
                    for lies, instance in zip(some, given[-1], strict=True):
                        buffer = memoryview(bytearray(lies.outline.size))
                        await lies.read_into(buffer)
                        assert buffer == instance
            assert given == [[one.data for one in sent]]


async def test_one_that_is_decoded_no_longer_is_decoded_anew(tmp_path: Path) -> None:
    sent = instances(3)
    async with open_world(tmp_path) as world:
        await world.broker.publish(sent)
        async with reading(world) as opened:
            assert len(await uids(opened)) == len(sent)
            peer, fetch = world.peers["a"], opened.fetch
            for one in sent:
                await peer.decoded.keep(hashlib.sha256(one.data).digest(), one.data)
            async with resource(peer, fetch) as again:
                async for some in again.instances():
                    os.ftruncate(peer.decoded.handle, 0)
                    assert [await whole(one) for one in some] == [one.data for one in sent]
                    buffer = memoryview(bytearray(some[0].outline.size))
                    await some[0].read_into(buffer)
                    assert buffer == sent[0].data


async def test_what_the_catalogue_tells_of_and_the_study_has_not(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(2))
        async with reading(world, told=5) as opened:
            assert len(await uids(opened)) == 2
            assert opened.missing == 3
            assert "more of it" in opened.why
            assert opened.transfer_syntaxes == [samples.EXPLICIT]


@pytest.mark.parametrize(("told", "times"), [(0, 0), (2, 0), (3, 1)])
async def test_it_is_compared_before_only_where_more_is_told_of(
    tmp_path: Path, told: int, times: int
) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(2))
        async with reading(world) as opened:
            assert len(await uids(opened)) == 2
            compared = list[None]()
            peer, fetch = world.peers["a"], opened.fetch
            async with resource(peer, fetch, told=told, compared=compared) as again:
                assert len([one async for some in again.metadata() for one in some]) == 2
            assert len(compared) == times


async def test_what_is_new_while_it_is_sent_is_for_the_next_request(tmp_path: Path) -> None:
    sent = instances(4)
    async with open_world(tmp_path) as world:
        await world.broker.publish(sent[:3])
        async with reading(world) as opened:
            peer, fetch, given = world.peers["a"], opened.fetch, list[str]()
            async for some in opened.instances():
                given += [one.outline.sop_instance_uid for one in some]
                if len(given) == 1:
                    assert len(opened.outline or ()) == 3
                    await world.broker.publish(sent)
                    await peer.reads.resume(fetch.study, Requester("A", "view"))
                    with trio.fail_after(LIMIT):
                        while not (fetch.settled and len(fetch.known) == len(sent)):
                            mark = fetch.mark()
                            await fetch.refresh()
                            if not fetch.settled or len(fetch.known) < len(sent):
                                await fetch.changed(mark)
            assert sorted(given) == sorted(one.sop_instance_uid for one in sent[:3])
            async with resource(peer, fetch) as again:
                assert len(await uids(again)) == len(sent)


async def test_what_the_pacs_did_not_give(tmp_path: Path) -> None:
    left_out = LeftOut(uids=("1.2.3.9",), why="1 file is lost")
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(2), left_out=left_out)
        async with reading(world, SERIES, "1.2.3.9") as opened:
            with pytest.raises(UnavailableError, match="is lost"):
                await uids(opened)
            peer, fetch = world.peers["a"], opened.fetch
            async with resource(peer, fetch) as of_study:
                before = of_study.tag
                assert len(await uids(of_study)) == 2
                assert of_study.missing == 1
                assert before == of_study.tag is not None
            async with resource(peer, fetch, "1.2.3") as nothing:
                with pytest.raises(NotFoundError, match="series"):
                    await uids(nothing)
