from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from attrs import define, field
from sqlalchemy import insert

from broker.database.db import BrokerDatabase
from broker.database.recipients import add_recipient, address, list_due, list_recipients
from broker.database.schema import studies
from broker.handlers.fetch_orders import FetchOrders, FetchOrderTuning
from p2pacs.errors import DiskFullError, P2PacsError
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.swarm.host import Services
from p2pacs.swarm.scheduling.priority import Priority
from p2pacs.wire.messages.messages import AuditKept, FetchOrder, FetchOrderKept, Query, Reply
from tests.waiting import eventually

STUDY, OTHER = (StudyId(bytes(15) + bytes([one])) for one in range(2))
NORTH, SOUTH, BROKER = (VirtualAddress(b"\xfd" + bytes(14) + bytes([one])) for one in range(3))


@define
class Members:
    """Members that answer, or do not."""

    linked: set[VirtualAddress] = field(factory=set)
    asked: list[FetchOrder] = field(factory=list)
    error: P2PacsError | None = None
    wrong: bool = False

    async def ask(
        self,
        member: VirtualAddress,
        query: Query,
        *,
        timeout: float,  # noqa: ASYNC109
    ) -> Reply:
        await trio.lowlevel.checkpoint()
        assert timeout > 0
        assert member == SOUTH
        assert isinstance(query, FetchOrder)
        self.asked.append(query)
        if self.error is not None:
            raise self.error
        return AuditKept(query.id) if self.wrong else FetchOrderKept(query.id)


async def addressed(
    database: BrokerDatabase, study: StudyId, priority: Priority = Priority.INTERACTIVE
) -> None:
    row = {"uid": study.raw.hex(), "wrapped_key": b"", "version": 2, "complete": True}
    await database.run(lambda c: c.execute(insert(studies).values(study=study.raw, **row)))
    await database.run(lambda c: address(c, study, [SOUTH], priority, sender=NORTH, actor="North"))


async def is_told(database: BrokerDatabase) -> bool:
    return not await database.run(lambda c: list_due(c, member=SOUTH))


@asynccontextmanager
async def running(database: BrokerDatabase, members: Members) -> AsyncIterator[FetchOrders]:
    tuning = FetchOrderTuning(retry_seconds=0.01)
    linked = members.linked.__contains__
    orders = FetchOrders(database, members.ask, linked, me=BROKER, tuning=tuning)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(orders.run)
        yield orders
        nursery.cancel_scope.cancel()


async def until_told(database: BrokerDatabase) -> None:
    with trio.fail_after(30):
        while not await is_told(database):
            await trio.sleep(0.01)


async def test_a_member_that_is_linked_is_told_at_once(database: BrokerDatabase) -> None:
    await addressed(database, STUDY)
    members = Members({SOUTH})
    async with running(database, members) as orders:
        orders.out(STUDY)
        await until_told(database)
        orders.out(STUDY)
        orders.linked(SOUTH)
        await trio.testing.wait_all_tasks_blocked(0.05)
    (known,) = await database.run(lambda c: list_recipients(c, STUDY))
    assert members.asked == [
        FetchOrder(0, STUDY.raw, 2, int(Priority.INTERACTIVE), NORTH.raw, known.addressed)
    ]


async def test_one_that_was_away_is_told_when_it_comes_the_most_urgent_first(
    database: BrokerDatabase,
) -> None:
    await addressed(database, STUDY)
    await addressed(database, OTHER, Priority.STAT)
    members = Members()
    async with running(database, members) as orders:
        orders.out(STUDY)
        orders.out(OTHER)
        await trio.testing.wait_all_tasks_blocked(0.05)
        assert not members.asked
        members.linked.add(SOUTH)
        heard: list[VirtualAddress] = []
        services = Services(linked=heard.append)
        orders.enter(services)
        assert services.linked is not None
        services.linked(SOUTH)
        await until_told(database)
    assert [one.study for one in members.asked] == [OTHER.raw, STUDY.raw]
    assert heard == [SOUTH]


@pytest.mark.parametrize("wrong", [False, True])
async def test_one_that_cannot_note_it_is_told_again(
    database: BrokerDatabase, *, wrong: bool
) -> None:
    await addressed(database, STUDY)
    members = Members({SOUTH}, error=None if wrong else DiskFullError("no room"), wrong=wrong)
    async with running(database, members) as orders:
        orders.out(STUDY)
        await eventually(lambda: len(members.asked) > 1)
        assert not await is_told(database)
        members.error, members.wrong = None, False
        await until_told(database)


async def test_one_that_left_is_left_alone(database: BrokerDatabase) -> None:
    await addressed(database, STUDY)
    members = Members({SOUTH}, error=DiskFullError("no room"))
    async with running(database, members) as orders:
        orders.out(STUDY)
        await eventually(lambda: members.asked)
        members.linked.clear()
        await trio.testing.wait_all_tasks_blocked(0.1)
        asked = len(members.asked)
        await trio.testing.wait_all_tasks_blocked(0.1)
        assert len(members.asked) == asked


async def test_what_an_administrator_addressed_by_command_is_told_too(
    database: BrokerDatabase,
) -> None:
    """Nothing of it need be published."""
    await database.run(lambda c: add_recipient(c, STUDY, SOUTH, Priority.STAT, actor="anna"))
    members = Members({SOUTH})
    async with running(database, members) as orders:
        orders.look()
        await until_told(database)
    (asked,) = members.asked
    assert (asked.study, asked.version, asked.priority) == (STUDY.raw, 1, int(Priority.STAT))
    assert asked.sender == BROKER.raw
