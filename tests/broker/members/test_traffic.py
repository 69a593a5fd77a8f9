from sqlalchemy import Connection, func, select

from broker.database.db import now
from broker.database.schema import traffic as table
from broker.members import traffic
from broker.members.traffic import DAY_MS, KEPT, Flow, Step, StudyFlow
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.wire.messages.received import HOUR, Received

NORTH, SOUTH, WEST = (VirtualAddress(b"\xfd" + bytes(14) + bytes([n])) for n in (1, 2, 3))
ONE, TWO = (StudyId(bytes(15) + bytes([n])) for n in (1, 2))
NOON = 20_000 * DAY_MS + 12 * HOUR


def test_bytes_are_added_up_by_hour_and_by_day(connection: Connection) -> None:
    for time, receiver, giver, study, size in (
        (NOON, NORTH.raw, SOUTH.raw, ONE, 1),
        (NOON + 5, NORTH.raw, SOUTH.raw, TWO, 2),
        (NOON + HOUR, NORTH.raw, SOUTH.raw, ONE, 4),
        (NOON + HOUR, SOUTH.raw, traffic.PACS, ONE, 8),
        (NOON + HOUR, WEST.raw, traffic.PACS, ONE, 16),
    ):
        traffic.count(connection, time, study, size, receiver=receiver, giver=giver)
    day = NOON - NOON % DAY_MS
    whole = 0, NOON + DAY_MS
    assert traffic.flows(connection, Step.HOUR, *whole, member=SOUTH) == [
        Flow(NOON, NORTH.raw, SOUTH.raw, 3),
        Flow(NOON + HOUR, NORTH.raw, SOUTH.raw, 4),
        Flow(NOON + HOUR, SOUTH.raw, traffic.PACS, 8),
    ]
    assert traffic.flows(connection, Step.DAY, *whole, study=ONE) == [
        Flow(day, NORTH.raw, SOUTH.raw, 5),
        Flow(day, SOUTH.raw, traffic.PACS, 8),
        Flow(day, WEST.raw, traffic.PACS, 16),
    ]
    assert traffic.flows(connection, Step.HOUR, NOON + HOUR + 1, NOON + DAY_MS) == []
    assert traffic.busiest_studies(connection, Step.DAY, *whole) == [
        StudyFlow(ONE, 29),
        StudyFlow(TWO, 2),
    ]
    assert traffic.busiest_studies(connection, Step.DAY, *whole, member=NORTH, most=1) == [
        StudyFlow(ONE, 5)
    ]


def test_a_report_that_comes_twice_counts_once(connection: Connection) -> None:
    hour = now() // HOUR * HOUR
    for serial, size in ((7, 10), (7, 10), (6, 100), (8, 1)):
        traffic.keep_received(connection, NORTH, [Received(hour, ONE, SOUTH, size, serial)])
    traffic.keep_received(connection, WEST, [Received(hour, ONE, SOUTH, 5, 1)])
    traffic.keep_received(connection, WEST, [])
    found = traffic.flows(connection, Step.HOUR, 0, hour + DAY_MS)
    assert found == [Flow(hour, NORTH.raw, SOUTH.raw, 11), Flow(hour, WEST.raw, SOUTH.raw, 5)]


def test_a_clock_that_is_wrong_counts_now_and_what_is_old_is_forgotten(
    connection: Connection,
) -> None:
    at = now()
    for step, kept in KEPT.items():
        old, young = at - kept - DAY_MS, at - kept + DAY_MS
        for time in (old, young):
            traffic.count(connection, time, ONE, 1, receiver=NORTH.raw, giver=SOUTH.raw)
        traffic.forget(connection, at)
        times = connection.execute(select(table.c.at).where(table.c.step == step.value)).scalars()
        assert min(times) > old
    hour = (at + 3 * DAY_MS) // HOUR * HOUR
    traffic.keep_received(connection, WEST, [Received(hour, ONE, SOUTH, 1, 1)])
    query = select(func.max(table.c.at)).where(table.c.receiver == WEST.raw)
    assert connection.execute(query).scalar_one() <= now()
