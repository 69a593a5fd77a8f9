from collections.abc import AsyncIterator
from pathlib import Path

import msgpack
import pytest
import trio
from sqlalchemy import select
from trio.testing import MockClock

from p2pacs.errors import DiskFullError, ForbiddenError, LinkClosedError
from p2pacs.ids import StudyId
from p2pacs.limits import AUDIT_RECORDS
from p2pacs.wire.messages.messages import AuditReport
from peer.db import PeerDatabase, audit, open_database
from peer.retrieval.audit import RETRY, AuditQueue, ReadEnding, ReadOutcome

STUDY = StudyId(bytes(range(16)))


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[PeerDatabase]:
    async with open_database(tmp_path / "peer.db") as opened:
        yield opened


class Broker:
    def __init__(self) -> None:
        self.away = False
        self.records: list[dict[str, object]] = []
        self.reports = 0
        self.reported = trio.Event()

    async def __call__(self, report: AuditReport) -> None:
        self.reported.set()
        self.reports += 1
        if self.away:
            raise LinkClosedError("the broker is away")
        self.records += [msgpack.unpackb(raw) for raw in report.records]


async def _drained(queue: AuditQueue) -> None:
    await _until_waiting(queue, 0)


async def _until_waiting(queue: AuditQueue, count: int) -> None:
    while await queue.waiting() != count:
        await trio.lowlevel.checkpoint()


async def test_reads_are_reported_once(database: PeerDatabase, nursery: trio.Nursery) -> None:
    queue, broker = AuditQueue(database), Broker()
    nursery.start_soon(queue.run, broker)
    await queue.record(STUDY, caller="VIEWER", purpose="move")
    with trio.fail_after(30):
        await _drained(queue)
    (record,) = broker.records
    assert isinstance(record.pop("time"), int)
    assert record == {"study": STUDY.raw, "caller": "VIEWER", "purpose": "move"}


async def test_many_reads_go_in_batches(database: PeerDatabase, nursery: trio.Nursery) -> None:
    queue, broker = AuditQueue(database), Broker()
    for _ in range(AUDIT_RECORDS + 1):
        await queue.record(STUDY, caller="VIEWER", purpose="move")
    nursery.start_soon(queue.run, broker)
    with trio.fail_after(30):
        await _drained(queue)
    assert (broker.reports, len(broker.records)) == (2, AUDIT_RECORDS + 1)


async def test_reads_wait_for_the_broker_even_over_a_restart(
    database: PeerDatabase, autojump_clock: MockClock
) -> None:
    broker = Broker()
    broker.away = True
    async with trio.open_nursery() as nursery:
        queue = AuditQueue(database)
        nursery.start_soon(queue.run, broker)
        await queue.record(STUDY, caller="VIEWER", purpose="get")
        await broker.reported.wait()
        nursery.cancel_scope.cancel()
    assert await queue.waiting() == 1
    broker.away = False
    async with trio.open_nursery() as nursery:
        nursery.start_soon(AuditQueue(database).run, broker)
        await trio.sleep(RETRY + 1)
        nursery.cancel_scope.cancel()
    assert len(broker.records) == 1
    assert await queue.waiting() == 0


async def test_a_read_is_reported_when_it_is_over(
    database: PeerDatabase, nursery: trio.Nursery
) -> None:
    queue, broker = AuditQueue(database), Broker()
    nursery.start_soon(queue.run, broker)
    read = await queue.begin(STUDY, caller="VIEWER", purpose="C-MOVE to DEAD")
    other = await queue.begin(STUDY, caller="OTHER", purpose="C-GET")
    for _ in range(2):
        await queue.record(STUDY, caller="command", purpose="command")
        await _until_waiting(queue, 2)
    assert [record["caller"] for record in broker.records] == ["command"] * 2
    queue.end(read, ReadEnding(ReadOutcome.FAILED, 3, 40))
    await _until_waiting(queue, 1)
    ended = broker.records[-1]
    assert (ended["outcome"], ended["sent"], ended["total"]) == ("failed", 3, 40)
    assert (ended["caller"], ended["time"]) == ("VIEWER", read.time)
    queue.end(other, ReadEnding(ReadOutcome.DONE, 2, 2))
    await _until_waiting(queue, 0)
    assert [record.get("outcome") for record in broker.records[2:]] == ["failed", "done"]


async def test_a_read_is_written_down_while_it_is_found_out_whether_it_may_be(
    database: PeerDatabase, nursery: trio.Nursery
) -> None:
    queue, broker = AuditQueue(database), Broker()

    async def admit() -> str:
        await _until_waiting(queue, 1)
        return "granted"

    read, admitted = await queue.begin_while(STUDY, admit, caller="VIEWER", purpose="C-GET")
    assert admitted == "granted"
    assert await queue.waiting() == 1
    nursery.start_soon(queue.run, broker)
    queue.end(read, ReadEnding(ReadOutcome.DONE, 2, 2))
    await _drained(queue)
    assert [record["outcome"] for record in broker.records] == ["done"]


async def test_of_what_may_not_be_read_there_is_no_entry(
    database: PeerDatabase, nursery: trio.Nursery
) -> None:
    queue, broker = AuditQueue(database), Broker()

    async def refuse() -> None:
        await _until_waiting(queue, 1)
        raise ForbiddenError("not this one")

    with pytest.raises(ForbiddenError, match="not this one"):
        await queue.begin_while(STUDY, refuse, caller="VIEWER", purpose="C-GET")
    with trio.move_on_after(0):
        await queue.begin_while(STUDY, trio.sleep_forever, caller="GONE", purpose="C-GET")
    assert await queue.waiting() == 0
    nursery.start_soon(queue.run, broker)
    while await database.run(lambda connection: connection.execute(select(audit)).all()):
        await trio.lowlevel.checkpoint()
    assert broker.records == []
    read = await queue.begin(STUDY, caller="VIEWER", purpose="C-GET")
    queue.end(read, ReadEnding(ReadOutcome.DONE, 2, 2))
    await _drained(queue)
    assert len(broker.records) == 1, "what was taken back is in nobody's way"


async def test_without_room_for_the_entry_nothing_is_read() -> None:
    class Full:
        async def run(self, _work: object) -> None:
            raise DiskFullError("no room")

    async def admit() -> None:
        await trio.lowlevel.checkpoint()

    async def refuse() -> None:
        raise ForbiddenError("not this one")

    queue = AuditQueue(Full())  # type: ignore[arg-type]
    with pytest.raises(DiskFullError):
        await queue.begin_while(STUDY, admit, caller="VIEWER", purpose="C-GET")
    with pytest.raises(ForbiddenError):
        await queue.begin_while(STUDY, refuse, caller="VIEWER", purpose="C-GET")


async def test_how_a_read_ended_is_kept_over_a_restart(database: PeerDatabase) -> None:
    broker = Broker()
    broker.away = True
    async with trio.open_nursery() as nursery:
        queue = AuditQueue(database)
        nursery.start_soon(queue.run, broker)
        first = await queue.begin(STUDY, caller="FIRST", purpose="C-GET")
        last = await queue.begin(STUDY, caller="LAST", purpose="C-GET")
        await queue.begin(STUDY, caller="KILLED", purpose="C-GET")
        queue.end(first, ReadEnding(ReadOutcome.DONE, 2, 2))
        await broker.reported.wait()
        queue.end(last, ReadEnding(ReadOutcome.FAILED, 1, 2))
        nursery.cancel_scope.cancel()
    broker.away = False
    async with trio.open_nursery() as nursery:
        queue = AuditQueue(database)
        nursery.start_soon(queue.run, broker)
        queue.wake()
        await _drained(queue)
        nursery.cancel_scope.cancel()
    assert {record["caller"]: record["outcome"] for record in broker.records} == {
        "FIRST": "done",
        "LAST": "failed",
        "KILLED": "interrupted",
    }
