"""What comes first when many studies wait in the spool."""

from pathlib import Path

import trio
from attrs import define, field
from trio.testing import MockClock

from p2pacs.swarm.scheduling.priority import Priority
from p2pacs.wire.messages.messages import Query, Reply, SendQuery
from peer.ingest.outgoing_parts import OutgoingTuning
from peer.spool.recipient_rules import RecipientRule
from tests.conformance.instances import make
from tests.peer.ingest.bench import FakeBroker, Outgoing, outgoing, running

ROUTINE = [f"1.2.{number}" for number in range(1, 4)]
STAT = "1.3.1"
TWO = OutgoingTuning(parallel=2)


@define
class BusyBroker(FakeBroker):
    """It takes a minute to give leave."""

    granted: list[str] = field(factory=list)

    async def ask(self, query: Query, *, timeout: float) -> Reply:  # noqa: ASYNC109
        if isinstance(query, SendQuery):
            await trio.sleep(60)
            self.granted.append(query.uid)
        return await FakeBroker.ask(self, query, timeout=timeout)


async def scan(made: Outgoing, uid: str) -> None:
    """A scanner that sends on and on, so that its study keeps its place."""
    for number in range(1, 1000):
        made.take(make(uid, 1, number))
        await trio.sleep(2)


async def test_stat_waits_for_no_place_that_scanners_keep(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with (
        outgoing(tmp_path, tuning=TWO) as made,
        trio.open_nursery() as nursery,
        running(made),
    ):
        for uid in ROUTINE:
            nursery.start_soon(scan, made, uid)
            await trio.sleep(1)
        await trio.sleep(60)
        assert made.study(ROUTINE[1]).version
        assert not made.study(ROUTINE[2]).version  # there are two places
        await made.addressing.urge(STAT, Priority.STAT)  # by `p2pacs send --stat`
        made.take(make(STAT, 1, 1))
        await trio.sleep(2)
        assert made.study(STAT).version
        await made.addressing.address(ROUTINE[2], [], Priority.STAT)  # it waited till now
        await trio.sleep(2)
        assert made.study(ROUTINE[2]).version
        nursery.cancel_scope.cancel()


async def test_leave_is_asked_for_stat_first(tmp_path: Path, autojump_clock: MockClock) -> None:
    """After a month without a broker, for the studies that are STAT by the rules, too."""
    rules = [RecipientRule("South", ("CT1",), ("South*",), Priority.STAT)]
    broker = BusyBroker()
    async with outgoing(tmp_path, broker, OutgoingTuning(parallel=1), rules) as made:
        for uid in ROUTINE:
            made.take(make(uid, 1, 1))
        made.take(make(STAT, 1, 1, InstitutionName="South Clinic"))
        async with running(made):
            await trio.sleep(100)
            assert len(broker.granted) == 2  # one of them beside
            assert STAT in broker.granted
            for uid in (*ROUTINE, STAT):
                await made.until_done(uid)
