"""Something to look at long before a study is here, and never in place of it."""

from array import array
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import trio

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.errors import NotFoundError
from p2pacs.identity.directory import Role
from p2pacs.study.images import Coding
from p2pacs.swarm.download.transfer import Transfer
from p2pacs.swarm.scheduling.priority import Priority
from p2pacs.units import Endpoint
from p2pacs.wire.messages import messages
from peer.api.api import make_api
from peer.api.streams import levels
from peer.app import Peer
from peer.retrieval.instances.fetch_order import previews
from peer.retrieval.instances.live_index import LiveIndex
from peer.retrieval.instances.viewport import ViewRequest
from peer.retrieval.requester import Requester
from peer.retrieval.study_fetch import StudyFetch
from tests.p2pacs.study import samples
from tests.peer.gateway.dimse.test_gateway import client, query
from tests.peer.retrieval.test_study_fetch import LIMIT, by_uid, opened, read_all
from tests.peer.world import open_world
from tests.waiting import eventually

COARSE = {Coding.SMALLEST: 1, Coding.PROGRESSIVE: 2}
"""The finest level that comes at first."""


SIDE = 256


def slices(count: int) -> list[EncodedInstance]:
    """Smooth images with some noise, as scanners make them: so previews are small beside them."""
    return [
        samples.instance(number, rows=SIDE, columns=SIDE, PixelData=_pixels(number))
        for number in range(1, count + 1)
    ]


def _pixels(number: int) -> bytes:
    noise = samples.noise(number, SIDE * SIDE)[::2]
    return array("H", [500 + n // 99 + noise[n] % 32 for n in range(SIDE * SIDE)]).tobytes()


async def shown(fetch: StudyFetch) -> None:
    """Until all can be shown at some level."""
    async for line in levels(fetch):
        if "previews" in line:
            return


@pytest.mark.parametrize("coding", list(Coding))
async def test_pictures_are_there_before_the_images(tmp_path: Path, coding: Coding) -> None:
    async with open_world(tmp_path) as world:
        sent = slices(4)
        await world.broker.publish(sent, coding=coding, finest=COARSE[coding])
        peer = await world.add("a")
        fetch = await opened(world, peer)
        with trio.fail_after(LIMIT):
            await shown(fetch)
        assert all(known.entry.frames == 1 for known in fetch.known)
        for known in fetch.known:
            assert not fetch.is_here(known)
            coarsest = known.levels[0][0]
            preview = await fetch.preview(known, None, None)
            assert preview.level == coarsest > 0
            assert preview.picture.rows == SIDE >> coarsest
            # What is not here yet is not waited for: the next coarser one is given.
            assert (await fetch.preview(known, 1, 0)).level >= COARSE[coding]
            for frame in (0, 2, 10**6):
                with pytest.raises(NotFoundError):
                    await fetch.preview(known, frame, None)
        await world.supply()
        assert await read_all(fetch) == by_uid(sent)
        whole = await fetch.preview(fetch.known[0], None, 0)
        assert (whole.level, whole.picture.rows) == (0, SIDE)


@pytest.mark.parametrize("coding", list(Coding))
async def test_frames_are_shown_one_by_one(tmp_path: Path, coding: Coding) -> None:
    frames = 5
    data = b"".join(_pixels(number) for number in range(frames))
    async with open_world(tmp_path) as world:
        whole = samples.instance(
            1, rows=SIDE, columns=SIDE, NumberOfFrames=str(frames), PixelData=data
        )
        await world.broker.publish([whole], coding=coding, finest=1)
        fetch = await opened(world, await world.add("a"))
        with trio.fail_after(LIMIT):
            await shown(fetch)
        [known] = fetch.known
        assert known.entry.frames == frames
        made = [await fetch.preview(known, frame, None) for frame in range(1, frames + 1)]
        assert len({one.picture.pixels for one in made}) == frames
        assert (await fetch.preview(known, None, None)).picture == made[2].picture
        with pytest.raises(NotFoundError):
            await fetch.preview(known, frames + 1, None)


@pytest.mark.parametrize("coding", list(Coding))
async def test_a_preview_is_never_given_as_the_image(tmp_path: Path, coding: Coding) -> None:
    async with open_world(tmp_path) as world:
        sent = slices(3)
        await world.broker.publish(sent, coding=coding, finest=1)
        peer = await world.add("a", dicom="127.0.0.1:0")
        fetch = await opened(world, peer)
        with trio.fail_after(LIMIT):
            await shown(fetch)
        got: list[EncodedInstance] = []
        files: list[bytes] = []

        async def c_get(where: Endpoint) -> None:
            wanted = query("STUDY", StudyInstanceUID=world.broker.uid)
            classes = {samples.CT: [samples.EXPLICIT]}
            async with client(where).get(wanted, classes=classes) as inbox:
                got.extend([one async for one in inbox])

        async def over_http(http: httpx.AsyncClient) -> None:
            files.append((await http.get(f"/studies/{fetch.study}/instances/1")).content)

        async with peer.gateway() as listens, over(peer) as http, trio.open_nursery() as nursery:
            assert listens.plain is not None
            nursery.start_soon(c_get, listens.plain)
            nursery.start_soon(over_http, http)
            await eventually(lambda: fetch.users == 2)  # both wait for what is not here
            for known in fetch.known:
                path = f"/studies/{fetch.study}/instances/{known.number}/preview"
                assert (await http.get(path)).headers["content-type"] == "image/png"
                assert not fetch.is_here(known)
            assert not got
            assert not files
            await world.supply()
        assert by_uid(got) == by_uid(sent)
        assert EncodedInstance.from_part10(files[0]) == sent[0]


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """What transfers were told to fetch first."""
    told: list[list[int]] = []
    look = Transfer.look

    def noted(transfer: Transfer, numbers: Iterable[int]) -> None:
        told.append(list(numbers))
        look(transfer, told[-1])

    monkeypatch.setattr(Transfer, "look", noted)
    return told


@pytest.mark.parametrize("priority", list(Priority))
async def test_previews_come_first_where_somebody_waits(
    tmp_path: Path, looks: list[list[int]], priority: Priority
) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish(slices(4), finest=1)
        peer = await world.add("a")
        await eventually(lambda: peer.index.by_uid(world.broker.uid) is not None)
        fetch = await peer.reads.open(world.broker.uid, Requester("TEST", "get", priority))
        if priority < Priority.INTERACTIVE:
            await world.supply()
            await read_all(fetch)
            assert not any(looks)
            return
        # Nobody reads: the index is read for whoever waits.
        await eventually(lambda: len(fetch.known) == 4)
        early = previews(fetch.known)
        assert early
        await eventually(lambda: looks and looks[-1] == early)
        peer.reads.prioritise(fetch.study, Priority.PREFETCH)
        assert looks[-1] == []


async def test_a_view_comes_before_the_previews_of_the_rest(
    tmp_path: Path, looks: list[list[int]]
) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish(slices(5), finest=1)
        peer = await world.add("a")
        fetch = await opened(world, peer)
        await eventually(lambda: len(fetch.known) == 5)
        peer.reads.look(fetch.study, ViewRequest(instances=(2, 4)))
        middle = fetch.known[2]
        order = list(dict.fromkeys(looks[-1]))
        assert order[0] in middle.levels[0][1]
        shown = {n for known in fetch.known[1:4] for n in known.chunks}
        early = {n for known in fetch.known for n in known.levels[0][1]}
        assert set(order) == shown | early
        assert order.index(middle.levels[1][1][-1]) > max(
            order.index(n) for known in fetch.known[1:4] for n in known.levels[0][1]
        )


async def test_a_blind_replica_reads_no_index(
    tmp_path: Path, looks: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a replica reads nothing")

    monkeypatch.setattr(LiveIndex, "follow", refuse)
    async with open_world(tmp_path) as world:
        await world.broker.publish(slices(2))
        replica = await world.add("r", Role.REPLICA)
        study, broker = world.broker.study, world.broker.host
        await eventually(lambda: replica.identity.address in broker.mesh.links)
        assert broker.tell(replica.identity.address, messages.Replicate(study.raw))
        await eventually(lambda: study in replica.host.engine.downloads.transfers)
        with trio.fail_after(LIMIT):
            await replica.host.engine.downloads.transfers[study].wait_complete()
        assert not looks


@asynccontextmanager
async def over(peer: Peer) -> AsyncIterator[httpx.AsyncClient]:
    """The local interface of a peer."""
    transport = httpx.ASGITransport(make_api(peer.overview, "secret"))
    headers = {"Authorization": "Bearer secret"}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://127.0.0.1:8711", headers=headers
    ) as http:
        yield http


async def test_the_first_image_is_wanted_however_many_parts_the_index_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted: list[int] = []
    want = Transfer.want

    def noting(transfer: Transfer, numbers: Iterable[int]) -> None:
        want(transfer, noted := list(numbers))
        wanted.extend(noted)

    monkeypatch.setattr(Transfer, "want", noting)
    async with open_world(tmp_path) as world:
        sent = slices(4)
        await world.broker.publish(sent[:2], complete=False, finest=1)
        last_part = lambda reader: reader.root.parts[-1].numbers  # noqa: E731
        await world.broker.publish(sent[2:], finest=1, withheld=last_part)
        peer = await world.add("a")
        fetch = await opened(world, peer)
        async with trio.open_nursery() as nursery:
            with fetch.in_use():
                nursery.start_soon(fetch.want_beginning)
                await eventually(lambda: len(fetch.known) == 2)
                image = {n for n in fetch.known[0].chunks if n not in fetch.transfer.have}
                assert image
                assert fetch.transfer.root is not None
                index = {n for part in fetch.transfer.root.parts for n in part.numbers}
                kept = world.broker.kept_back
                world.broker.kept_back = [chunk for chunk in kept if chunk.number in index]
                await world.supply()
                await eventually(lambda: image <= set(wanted))
                nursery.cancel_scope.cancel()
