"""A member's clock and addresses, as the broker sees them."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from attrs import define, field

from broker.handlers.reach import AT_ONCE, FRESH, MemberTrials, dial_back
from p2pacs.errors import BusyError
from p2pacs.identity.directory import MemberRecord
from p2pacs.wire.messages.messages import Reach, ReachQuery
from tests.broker.conftest import Ground
from tests.broker.parts import joined


@define
class Dialled:
    """Addresses that were dialled; one ending in 1 answers."""

    asked: list[tuple[str, str]] = field(factory=list)
    gate: trio.Event | None = None

    async def __call__(self, text: str, member: MemberRecord) -> bool:
        self.asked.append((text, member.name))
        if self.gate is not None:
            await self.gate.wait()
        return text.endswith("1")


def milliseconds() -> int:
    return int(time.time() * 1000)


async def test_only_what_the_directory_names_is_dialled(
    ground: Ground, autojump_clock: trio.testing.MockClock
) -> None:
    member, _ = await joined(ground, "North", endpoints=["10.0.0.1:4711", "north.example:4712"])
    dialled = Dialled()
    trials = MemberTrials(ground.book, dialled)
    answer = await trials.answer(member.address, ReachQuery(7, milliseconds() + 90_000))
    assert (answer.id, answer.reached, answer.missed) == (
        7,
        ["10.0.0.1:4711"],
        ["north.example:4712"],
    )
    assert abs(answer.time - milliseconds()) < 60_000
    assert sorted(dialled.asked) == [("10.0.0.1:4711", "North"), ("north.example:4712", "North")]
    assert 30 < trials.known[member.address].clock <= 90
    again = await trials.answer(member.address, ReachQuery(8, milliseconds()))
    assert (again.reached, len(dialled.asked)) == (answer.reached, 2), "told again, not dialled"
    await trio.sleep(FRESH + 1)
    await trials.answer(member.address, ReachQuery(9, milliseconds()))
    assert len(dialled.asked) == 4


async def test_a_stranger_is_told_the_time_alone(ground: Ground) -> None:
    dialled = Dialled()
    answer = await MemberTrials(ground.book, dialled).answer(
        ground.authority.new_address(), ReachQuery(1, 0)
    )
    assert (answer.reached, answer.missed, dialled.asked) == ([], [], [])


async def test_few_are_dialled_at_once(
    ground: Ground, autojump_clock: trio.testing.MockClock
) -> None:
    members = [
        (await joined(ground, f"M{number}", endpoints=["10.0.0.1:1"]))[0]
        for number in range(AT_ONCE + 1)
    ]
    dialled = Dialled(gate=trio.Event())
    trials = MemberTrials(ground.book, dialled)
    async with trio.open_nursery() as nursery:
        for one in members[:AT_ONCE]:
            nursery.start_soon(trials.answer, one.address, ReachQuery(1, 0))
        await trio.testing.wait_all_tasks_blocked()
        for one in (members[0], members[-1]):
            with pytest.raises(BusyError, match="ask again"):
                await trials.answer(one.address, ReachQuery(2, 0))
        assert dialled.gate is not None
        dialled.gate.set()
    assert isinstance(await trials.answer(members[-1].address, ReachQuery(3, 0)), Reach)


@asynccontextmanager
async def listener() -> AsyncIterator[int]:
    """Takes connections, and says nothing that a member would."""
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")

    async def hang_up(stream: trio.SocketStream) -> None:
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, hang_up, listeners)
        yield listeners[0].socket.getsockname()[1]
        nursery.cancel_scope.cancel()


async def test_what_else_listens_there_is_missed_like_what_does_not(ground: Ground) -> None:
    async with listener() as port:
        member, _ = await joined(ground, "North", endpoints=[f"127.0.0.1:{port}", "127.0.0.1:1"])
        record = ground.book.directory.get(member.address)
        assert record is not None
        dial = dial_back(ground.identity, ground.book)
        assert [await dial(one, record) for one in record.endpoints] == [False, False]
