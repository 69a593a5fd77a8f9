from collections.abc import Mapping

import trio
import trio.testing

from p2pacs.errors import MalformedMessageError, P2PacsError, UnavailableError
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.limits import AUDIT_RECORDS
from p2pacs.wire.messages.messages import AuditReport
from p2pacs.wire.messages.received import HOUR, Received, unpack_received
from peer.sync.traffic_reports import TrafficReports, TrafficTuning

Clock = trio.testing.MockClock
A, B = (VirtualAddress(b"\xfd" + bytes(14) + bytes([n])) for n in (1, 2))
ONE, TWO = (StudyId(bytes(15) + bytes([n])) for n in (1, 2))
NOW = 1000 * HOUR + 5


class World:
    """A broker that may be away, and what was received since the last look."""

    def __init__(self) -> None:
        self.fresh: dict[tuple[StudyId, VirtualAddress], int] = {}
        self.reports: list[list[Received]] = []
        self.error: P2PacsError | None = None
        self.now = NOW

    def take(self) -> Mapping[tuple[StudyId, VirtualAddress], int]:
        taken, self.fresh = self.fresh, {}
        return taken

    async def send(self, report: AuditReport) -> None:
        await trio.lowlevel.checkpoint()
        self.reports.append([unpack_received(raw) for raw in report.records])
        if self.error is not None:
            raise self.error


async def run_for(world: World, minutes: float, tuning: TrafficTuning | None = None) -> None:
    reports = TrafficReports(world.take, world.send, clock=lambda: world.now, tuning=tuning)
    with trio.move_on_after(60 * minutes + 1):
        await reports.run()


async def test_sums_by_hour_are_told_once_a_minute(autojump_clock: Clock) -> None:
    world = World()
    world.fresh = {(ONE, A): 5, (TWO, B): 7}
    await run_for(world, 3)
    (report,) = world.reports
    assert [(one.hour, one.study, one.giver, one.size) for one in report] == [
        (1000 * HOUR, ONE, A, 5),
        (1000 * HOUR, TWO, B, 7),
    ]
    assert {one.serial for one in report} == {NOW}


async def test_what_was_not_confirmed_is_sent_again_as_it_was(autojump_clock: Clock) -> None:
    world = World()
    world.error = UnavailableError("away")
    world.fresh = {(ONE, A): 5}
    reports = TrafficReports(world.take, world.send, clock=lambda: world.now)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(reports.run)
        await trio.sleep(90)
        world.fresh = {(ONE, A): 1}
        await trio.sleep(60)
        world.error = None
        await trio.sleep(60)
        nursery.cancel_scope.cancel()
    assert world.reports[0] == world.reports[1] == world.reports[2]
    assert [one.size for one in world.reports[3]] == [1]
    assert world.reports[3][0].serial > world.reports[2][0].serial


async def test_many_sums_are_several_reports_and_the_oldest_go_first(autojump_clock: Clock) -> None:
    world = World()
    world.fresh = {(StudyId(n.to_bytes(16, "big")), A): n for n in range(AUDIT_RECORDS + 20)}
    await run_for(world, 1, TrafficTuning(waiting=AUDIT_RECORDS + 5))
    assert [len(report) for report in world.reports] == [AUDIT_RECORDS, 5]
    assert world.reports[0][0].size == 15
    first, second = (report[0].serial for report in world.reports)
    assert second > first


async def test_a_broker_that_knows_no_traffic_is_not_asked_for_ever(autojump_clock: Clock) -> None:
    world = World()
    world.error = MalformedMessageError("not an audit record")
    world.fresh = {(ONE, A): 5}
    await run_for(world, 5)
    assert len(world.reports) == 1
