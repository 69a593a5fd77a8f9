"""What DICOMweb clients read out of a network: frames; who may, and what the audit tells."""

from __future__ import annotations

import io
from pathlib import Path

import httpx
import imagecodecs
import numpy as np
import pydicom
import pytest
import trio
from PIL import Image

from p2pacs.dicomweb.multipart import MultipartParser, boundary_of
from p2pacs.dicomweb.server.backend import Resource
from p2pacs.errors import ForbiddenError, NotFoundError, StudyNotFoundError, UsageError
from p2pacs.wire.messages.messages import VIEW
from peer.gateway.web.reads import CodedFrames, WebReads
from peer.gateway.web.viewings import ViewingTuning
from tests.p2pacs.dataset.test_pixel_data import JPEG, encapsulated
from tests.p2pacs.study import samples
from tests.peer.gateway.web.test_dicomweb import served
from tests.peer.retrieval.test_frame_reads import IMAGES, but_frame, file
from tests.peer.retrieval.test_study_fetch import LIMIT
from tests.peer.world import instances, open_world
from tests.waiting import eventually

OHIF = 'multipart/related; type="application/octet-stream"; transfer-syntax="*"'


def url(root: str, number: int = 1) -> str:
    uid = samples.STUDY_UID
    return f"{root}/studies/{uid}/series/{uid}.1/instances/{uid}.1.{number}/frames/"


def bodies(answer: httpx.Response) -> list[bytes]:
    parser = MultipartParser(boundary_of(answer.headers["content-type"]))
    found = parser.feed(answer.content)
    parser.finish()
    return [part.body() for part in found]


async def test_frames_of_a_study_that_is_fetched_for_them(tmp_path: Path) -> None:
    sent = instances(3)
    async with (
        served(tmp_path, sent) as (world, peer, root),
        httpx.AsyncClient(timeout=40.0) as http,
    ):
        for number, one in enumerate(sent, 1):
            answer = await http.get(url(root, number) + "1", headers={"Accept": OHIF})
            assert answer.status_code == 200
            (frame,) = bodies(answer)
            assert one.data.endswith(frame)
            assert len(frame) == 64 * 64 * 2
            assert url(root, number).encode() + b"1\r\n" in answer.content
        assert (await http.get(url(root, 3) + "2")).status_code == 404
        assert (await http.get(url(root, 4) + "1")).status_code == 404
        other = url(root).replace(f"{samples.STUDY_UID}.1/inst", f"{samples.STUDY_UID}.2/inst")
        assert (await http.get(other + "1")).status_code == 404
        elsewhere = url(root).replace(f"studies/{samples.STUDY_UID}", "studies/1.2.3")
        assert (await http.get(elsewhere + "1")).status_code == 404
        # However many frames are read: one entry, told when it is over.
        assert await peer.audit.waiting() == 1
        assert world.broker.audit == []
        # Who looks at images does not wait until the broker has compared the study with the PACS.
        assert {purpose for purpose, _ in world.broker.asked} == {VIEW}


async def test_a_frame_of_what_is_on_its_way(tmp_path: Path) -> None:
    """It is there while the rest of its instance is not."""
    one = encapsulated(IMAGES, "table")
    async with open_world(tmp_path) as world, trio.open_nursery() as nursery:
        await world.broker.publish([one], withheld=but_frame(32))
        peer = await world.add("a", gateway={"dicomweb": "127.0.0.1:0"})
        await eventually(lambda: peer.index.by_uid(world.broker.uid) is not None)
        where = await nursery.start(peer.serve_dicomweb)
        async with httpx.AsyncClient(timeout=LIMIT) as http:
            path = url(f"http://{where}/dicom-web")
            answer = await http.get(path + "33", headers={"Accept": "image/jpeg"})
            assert answer.status_code == 200
            assert answer.headers["content-type"] == f"image/jpeg; transfer-syntax={JPEG}"
            assert answer.content == IMAGES[32]
            found: list[bytes] = []

            async def read() -> None:
                found.extend(bodies(await http.get(path + "33,1,40", headers={"Accept": OHIF})))

            async with trio.open_nursery() as readers:
                readers.start_soon(read)
                await world.supply()
            assert found == [IMAGES[32], IMAGES[0], IMAGES[39]]
        nursery.cancel_scope.cancel()


async def test_the_right_to_read_is_looked_at_again(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(1))
        peer = await world.add("a")
        await eventually(lambda: peer.index.by_uid(world.broker.uid) is not None)
        resource = Resource(world.broker.uid, f"{world.broker.uid}.1", f"{world.broker.uid}.1.1")
        patient = WebReads(peer.reads, peer.workers)
        wary = WebReads(peer.reads, peer.workers, ViewingTuning(trusted=0))
        for reads in (patient, wary):
            async with reads.frames(resource, "A") as frames:
                assert len(await frames.read(1)) == 64 * 64 * 2
        world.broker.forbidden = True
        async with patient.frames(resource, "A") as frames:
            assert frames.count == 1
        for reads, caller in ((wary, "A"), (patient, "B")):
            with pytest.raises(ForbiddenError):
                async with reads.frames(resource, caller):
                    pass
        assert await peer.audit.waiting() == 2


async def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(1))
        peer = await world.add("a")
        await eventually(lambda: peer.index.by_uid(world.broker.uid) is not None)
        reads, uid = (
            WebReads(peer.reads, peer.workers, ViewingTuning(remembered=1)),
            world.broker.uid,
        )
        for resource, error in (
            (Resource("1.2.3", f"{uid}.1", f"{uid}.1.1"), StudyNotFoundError),
            (Resource(uid, f"{uid}.1", f"{uid}.1.9"), NotFoundError),
            (Resource(uid, f"{uid}.2", f"{uid}.1.1"), NotFoundError),
            (Resource(uid), UsageError),
        ):
            for caller in "AB":
                with pytest.raises(error):
                    async with reads.instance(resource, caller):
                        pass
        assert not peer.reads.in_use(world.broker.study)


async def test_pictures_of_a_study(tmp_path: Path) -> None:
    sent = [samples.smooth(1, WindowCenter="2048", WindowWidth="4096")]
    async with served(tmp_path, sent) as (_, _, root), httpx.AsyncClient(timeout=LIMIT) as http:
        instance = url(root).removesuffix("frames/")
        answer = await http.get(instance + "rendered", headers={"Accept": "image/png"})
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "image/png"
        picture = Image.open(io.BytesIO(answer.content))
        assert (picture.mode, picture.size) == ("L", (256, 256))
        small = await http.get(instance + "frames/1/thumbnail?viewport=40,20")
        assert Image.open(io.BytesIO(small.content)).size == (20, 20)
        assert (await http.get(instance + "frames/2/rendered")).status_code == 404


async def test_bulk_data_of_a_study(tmp_path: Path) -> None:
    sent = [samples.instance(1, EncapsulatedDocument=b"%PDF-1.4")]
    async with served(tmp_path, sent) as (_, _, root), httpx.AsyncClient(timeout=LIMIT) as http:
        bulk = url(root).removesuffix("frames/") + "bulkdata/"
        answer = await http.get(bulk + "00420011", headers={"Accept": "application/octet-stream"})
        assert (answer.status_code, answer.content) == (200, b"%PDF-1.4")
        assert sent[0].data.endswith(bodies(await http.get(bulk + "7FE00010"))[0])
        assert (await http.get(bulk + "00420012")).status_code == 404


async def test_a_revoked_member_reads_nothing_more(tmp_path: Path) -> None:
    async with (
        served(tmp_path, instances(1)) as (world, peer, root),
        httpx.AsyncClient(timeout=LIMIT) as http,
    ):
        assert (await http.get(url(root) + "1")).status_code == 200
        await eventually(lambda: peer.identity.broker in peer.host.mesh.links)
        world.revoke("a")
        await eventually(lambda: peer.host.mesh.refused.get(peer.identity.broker))
        bulk = url(root).removesuffix("frames/") + "bulkdata/00100010"
        for path in (url(root) + "1", url(root) + "1/rendered", bulk):
            answer = await http.get(path)
            assert (answer.status_code, answer.json()["error"]) == (403, "RevokedError")


async def test_compressed_frames_for_who_takes_no_other(tmp_path: Path) -> None:
    one = file("JPEG2000.dcm")
    dataset = pydicom.dcmread(io.BytesIO(one.part10()))
    async with (
        served(tmp_path, [one]) as (world, _, root),
        httpx.AsyncClient(timeout=LIMIT) as http,
    ):
        of = f"{root}/studies/{world.broker.uid}/series/{dataset.SeriesInstanceUID}/instances/"
        path = f"{of}{one.sop_instance_uid}/frames/1"
        stored = await http.get(path, headers={"Accept": OHIF})
        assert len(bodies(stored)[0]) < len(dataset.pixel_array.tobytes())
        native = await http.get(path, headers={"Accept": "application/octet-stream"})
        assert native.content == dataset.pixel_array.tobytes()
        picture = await http.get(path + "/rendered")
        assert picture.status_code == 200
        assert Image.open(io.BytesIO(picture.content)).size == (dataset.Columns, dataset.Rows)


async def test_what_was_recycled_meanwhile_is_fetched_again(tmp_path: Path) -> None:
    sent = instances(1, rows=512)  # more chunks than a reader keeps open
    async with (
        served(tmp_path, sent) as (world, peer, root),
        httpx.AsyncClient(timeout=LIMIT) as http,
    ):
        first = await http.get(url(root) + "1")
        await peer.reads.get(world.broker.study).transfer.wait_complete()
        await peer.store.drop(world.broker.study)
        peer.reads.forget(world.broker.study)
        again = await http.get(url(root) + "1")
        assert (again.status_code, again.content) == (200, first.content)


async def test_frames_coded_for_a_progressive_viewer(tmp_path: Path) -> None:
    sent = [samples.smooth(1)]
    async with served(tmp_path, sent) as (_, _, root), httpx.AsyncClient(timeout=LIMIT) as http:
        accept = {"Accept": "image/jphc; transfer-syntax=1.2.840.10008.1.2.4.202"}
        whole = await http.get(url(root) + "1", headers=accept)
        assert whole.status_code == 200
        assert int(whole.headers["content-length"]) == len(whole.content)
        pixels = pydicom.dcmread(io.BytesIO(sent[0].part10())).pixel_array
        assert np.array_equal(imagecodecs.htj2k_decode(whole.content), pixels)
        some = await http.get(url(root) + "1", headers={**accept, "Range": "bytes=0-999"})
        assert (some.status_code, some.content) == (206, whole.content[:1000])


def test_the_last_coded_frames_are_kept() -> None:
    kept = CodedFrames(10)
    kept.put((b"a", 1), bytes(6))
    kept.put((b"a", 2), bytes(4))
    assert kept.get((b"a", 1)) == bytes(6)
    kept.put((b"a", 3), bytes(3))
    assert kept.get((b"a", 2)) is None
    kept.put((b"a", 1), bytes(5))
    assert kept.get((b"a", 3)) == bytes(3)
    kept.put((b"b", 1), bytes(11))
    assert [kept.get(key) for key in ((b"a", 1), (b"a", 3), (b"b", 1))] == [None, None, None]
