import io
import tracemalloc
import zipfile
from contextlib import aclosing
from pathlib import Path

import pytest
import trio
from pydicom.fileset import FileSet

from p2pacs.concurrency.budget import Budget
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dataset.large import WHOLE_BYTES
from p2pacs.errors import UnavailableError
from p2pacs.study.study_index import LeftOut
from peer.app import Peer
from peer.pages.study.study_archive import ArchiveAnswer, StudyArchive, ZipStream
from peer.retrieval.audit import ReadEnding, ReadOutcome
from peer.retrieval.requester import Requester
from tests.p2pacs.study import samples
from tests.peer.retrieval.test_large_reads import compressed, volume
from tests.peer.retrieval.test_study_fetch import by_uid
from tests.peer.world import World, instances, open_world
from tests.waiting import eventually


async def opened(world: World, peer: Peer, ends: list[ReadEnding]) -> StudyArchive:
    await eventually(lambda: peer.index.by_uid(world.broker.uid) is not None)
    fetch = await peer.reads.open(world.broker.uid, Requester("anna", "get"))
    return StudyArchive(fetch, Budget(1 << 20), ends.append)


async def all_of(archive: StudyArchive) -> bytes:
    with trio.fail_after(60):
        async with aclosing(archive.pieces()) as pieces:
            return b"".join([piece async for piece in pieces])


async def test_a_study_that_comes_is_an_archive_with_a_directory(tmp_path: Path) -> None:
    sent, ends = instances(5), list[ReadEnding]()
    async with open_world(tmp_path / "world") as world:
        await world.broker.publish(sent)
        peer = await world.add("a")
        raw = await all_of(await opened(world, peer, ends))
    assert ends == [ReadEnding(ReadOutcome.DONE, 5, 5)]
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert names[-1] == "DICOMDIR"
        assert sorted(names)[1] == "DICOM/S0000001/I0000002"
        archive.extractall(tmp_path / "out")
    files = [path for path in (tmp_path / "out" / "DICOM").rglob("*") if path.is_file()]
    found = [EncodedInstance.from_part10(path.read_bytes()) for path in files]
    assert by_uid(found) == by_uid(sent)
    listed = FileSet(tmp_path / "out" / "DICOMDIR")
    assert {one.SOPInstanceUID for one in listed} == set(by_uid(sent))
    assert b"Gr" not in b"".join(name.encode() for name in names)


async def test_large_ones_are_written_in_pieces(tmp_path: Path) -> None:
    sent, ends = [samples.instance(1), volume(2), compressed(3)], list[ReadEnding]()
    async with open_world(tmp_path / "world") as world:
        await world.broker.publish(sent)
        peer = await world.add("a")
        archive = await opened(world, peer, ends)
        with trio.fail_after(60):
            async with aclosing(archive.pieces()) as pieces:
                came = [piece async for piece in pieces]
    assert max(map(len, came)) < WHOLE_BYTES // 2
    assert ends == [ReadEnding(ReadOutcome.DONE, 3, 3)]
    with zipfile.ZipFile(io.BytesIO(b"".join(came))) as made:
        assert made.testzip() is None
        files = [name for name in made.namelist() if name.startswith("DICOM/")]
        found = [EncodedInstance.from_part10(made.read(name)) for name in files]
    assert by_uid(found) == by_uid(sent)


async def test_what_the_pacs_did_not_give_is_said_in_it(tmp_path: Path) -> None:
    ends = list[ReadEnding]()
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(2), left_out=LeftOut(unnamed=3, why="no answer"))
        raw = await all_of(await opened(world, await world.add("a"), ends))
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        assert b"3 more images" in archive.read("MISSING.TXT")
    assert ends == [ReadEnding(ReadOutcome.FAILED, 2, 5)]


async def test_what_does_not_come_whole_is_cut_off(tmp_path: Path) -> None:
    ends, said = list[ReadEnding](), list[dict[str, object]]()
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(2), complete=False)
        archive = await opened(world, await world.add("a"), ends)

        async def send(message: object) -> None:
            await trio.lowlevel.checkpoint()
            said.append(dict(message))  # type: ignore[call-overload]

        async with trio.open_nursery() as nursery:
            answer = ArchiveAnswer(archive.pieces(), "study")
            nursery.start_soon(answer, {"type": "http"}, trio.sleep_forever, send)
            await eventually(lambda: len(said) > 2)
            archive.fetch.transfer.end(UnavailableError("nobody has it"))
    assert said[-1].get("more_body") is True  # the end never came
    assert ends == [ReadEnding(ReadOutcome.FAILED, 2, 2)]


async def test_who_goes_away_ends_the_reading(tmp_path: Path) -> None:
    ends = list[ReadEnding]()
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(2), complete=False)
        archive = await opened(world, await world.add("a"), ends)

        async def receive() -> dict[str, object]:
            await eventually(lambda: archive.fetch.users)
            return {"type": "http.disconnect"}

        async def send(_message: object) -> None:
            await trio.lowlevel.checkpoint()

        answer = ArchiveAnswer(archive.pieces(), "study")
        with trio.fail_after(30):
            await answer({"type": "http"}, receive, send)  # type: ignore[arg-type]
        assert not archive.fetch.users
    assert [one.outcome for one in ends] == [ReadOutcome.INTERRUPTED]


@pytest.mark.parametrize("count", [40])
def test_memory_is_bounded_by_one_file(count: int) -> None:
    stream, data, size = ZipStream(), bytes(1 << 20), 0
    tracemalloc.start()
    try:
        for number in range(count):
            size += len(stream.add(f"DICOM/{number}", data))
        size += len(stream.end())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size > count << 20
    assert peak < 6 << 20
