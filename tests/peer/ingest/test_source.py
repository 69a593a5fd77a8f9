from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dataset.json_model import text
from p2pacs.errors import StudyNotFoundError
from p2pacs.ids import StudyId
from p2pacs.publish.source import Detail, FailedInstance, Retrieved
from peer.ingest.intake import take
from peer.ingest.source import Arrivals, SpoolSource, record_of
from peer.spool.spool import Spool
from tests.conformance.instances import make

UID = "1.2.1"
STUDY = StudyId(bytes(range(16)))


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with closing(Spool(tmp_path, reserve=0)) as opened:
        yield opened


def source_of(spool: Spool) -> SpoolSource:
    arrivals = Arrivals()
    spool.came = arrivals.came
    return SpoolSource(spool, arrivals, quiet=10.0)


async def test_a_study_is_described_as_far_as_it_came(spool: Spool) -> None:
    source = source_of(spool)
    with pytest.raises(StudyNotFoundError):
        await source.describe(UID)
    for one in (make(UID, 1, 1), make(UID, 1, 2), make(UID, 2, 1), make("1.2.2")):
        take(spool, one, "CT1")
    described = await source.describe(UID, Detail.UIDS)
    assert set(described.instances) == {f"{UID}.1.1", f"{UID}.1.2", f"{UID}.2.1"}
    assert (described.count, described.listed, source.newest) == (3, 3, 3)
    told = await source.describe(UID, Detail.SERIES)
    assert (told.count, told.listed) == (3, 0)
    record = record_of(told, STUDY, 4)
    assert (record.study, record.uid, record.version) == (STUDY, UID, 4)
    assert text(record.attributes, "PatientID") == f"P{UID}"
    assert [one.uid for one in record.series] == [f"{UID}.1", f"{UID}.2"]


async def test_a_retrieval_goes_on_while_more_comes_and_ends_when_it_is_quiet(
    spool: Spool, autojump_clock: MockClock
) -> None:
    source = source_of(spool)
    take(spool, make(UID, 1, 1), "CT1")
    described = await source.describe(UID, Detail.SERIES)
    got: list[Retrieved] = []
    began = trio.current_time()
    async with source.retrieve(described) as stream:
        async for one in stream:
            got.append(one)
            if len(got) < 4:
                take(spool, make(UID, 1, len(got) + 1), "CT1")
    assert got == [make(UID, 1, number) for number in range(1, 5)]
    assert trio.current_time() - began == pytest.approx(10.0)


async def test_only_what_is_wanted_and_what_came_since(
    spool: Spool, autojump_clock: MockClock
) -> None:
    source = source_of(spool)
    for number in (1, 2, 3):
        take(spool, make(UID, 1, number), "CT1")
    described = await source.describe(UID, Detail.UIDS)
    take(spool, make(UID, 1, 4), "CT1")
    async with source.retrieve(described, {f"{UID}.1.2"}) as stream:
        got = [one async for one in stream]
    assert got == [make(UID, 1, 2), make(UID, 1, 4)]


async def test_an_instance_that_has_rotted_is_said_to_be_missing_and_taken_anew(
    tmp_path: Path, spool: Spool, autojump_clock: MockClock
) -> None:
    source = source_of(spool)
    take(spool, make(UID), "CT1")
    (file,) = (tmp_path / "instances").iterdir()
    file.write_bytes(b"rot")
    described = await source.describe(UID, Detail.SERIES)
    async with source.retrieve(described) as stream:
        (failed,) = [one async for one in stream]
    assert isinstance(failed, FailedInstance)
    assert failed.uid == f"{UID}.1.1"
    assert UID not in str(failed.error)
    take(spool, make(UID), "CT1")
    async with source.retrieve(described) as stream:
        assert [one async for one in stream] == [make(UID)]


async def test_arrivals_say_of_which_study(spool: Spool) -> None:
    arrivals = Arrivals()
    spool.came = arrivals.came

    def send(one: EncodedInstance) -> None:
        take(spool, one, "CT1")

    await trio.to_thread.run_sync(send, make(UID))
    await arrivals.bell.wait()
    assert arrivals.fresh == {UID}
    await arrivals.further(UID, 0)
    assert (arrivals.count(UID), arrivals.count("1.2.2")) == (1, 0)
