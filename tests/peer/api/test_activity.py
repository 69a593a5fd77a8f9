"""Rates and events in virtual time, from a host whose transfers a test moves by hand."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Self

import pytest
import trio
from attrs import define, field
from trio.testing import MockClock

from p2pacs.identity.book import DirectoryBook
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.output.json_object import JsonObject
from p2pacs.swarm.download.transfer import Transfer
from p2pacs.swarm.scheduling.availability import Availability
from p2pacs.swarm.scheduling.priority import Priority
from peer.api.activity import (
    EVENTS,
    HEARTBEAT,
    RESTING,
    SETTLING,
    SHOWN_MEMBERS,
    SHOWN_TRANSFERS,
    Activity,
)
from peer.api.progress import STALLED


def member(number: int) -> VirtualAddress:
    return VirtualAddress(b"\xfd" + number.to_bytes(15, "big"))


@define
class FakeHost:
    """Its uploads and their paced sender, too."""

    transfers: dict[StudyId, Transfer] = field(factory=dict)
    bytes_sent: dict[VirtualAddress, int] = field(factory=dict)
    linked: set[VirtualAddress] = field(factory=set)

    @property
    def paced(self) -> Self:
        return self

    def promised(self, member: VirtualAddress) -> int:
        return 100 if member in self.linked else 0

    def begin(self, number: int = 1) -> Transfer:
        study = StudyId(number.to_bytes(16, "big"))
        transfer = Transfer(study, Availability((), b""), Priority.INTERACTIVE)
        self.transfers[study] = transfer
        return transfer


@pytest.fixture
def host() -> FakeHost:
    return FakeHost()


@pytest.fixture
def activity(host: FakeHost, tmp_path: Path) -> Activity:
    book = DirectoryBook(tmp_path / "directory", None)  # type: ignore[arg-type]
    return Activity(host.transfers, host, host.linked, book)  # type: ignore[arg-type]


async def moving(seconds: float, move: Callable[[], None]) -> None:
    """Something moves ten times a second."""
    for _ in range(round(seconds * 10)):
        move()
        await trio.sleep(0.1)


def receive(transfer: Transfer, source: int, size: int) -> Callable[[], None]:
    def move() -> None:
        past = transfer.past_sources
        past[member(source)] = past.get(member(source), 0) + size

    return move


async def told(
    events: AsyncGenerator[JsonObject, None], into: list[tuple[float, JsonObject]]
) -> None:
    async with aclosing(events):
        async for event in events:
            into.append((trio.current_time(), event))  # noqa: PERF401


async def test_rates_of_the_whole_and_of_each_source(
    host: FakeHost, activity: Activity, autojump_clock: MockClock
) -> None:
    transfer = host.begin()
    said: list[tuple[float, JsonObject]] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(told, activity.events(), said)
        async with trio.open_nursery() as both:
            both.start_soon(moving, 5.0, receive(transfer, 1, 10_000))
            both.start_soon(moving, 5.0, receive(transfer, 2, 2_000))
        nursery.cancel_scope.cancel()
    (one,) = said[-1][1]["transfers"]
    assert one["rate"] == pytest.approx(120_000, rel=0.2)
    rates = [source["rate"] for source in one["sources"].values()]
    assert rates == [pytest.approx(100_000, rel=0.2), pytest.approx(20_000, rel=0.2)]
    assert one["rate"] == pytest.approx(sum(rates), abs=1)


async def test_events_come_when_something_moves_and_not_too_often(
    host: FakeHost, activity: Activity, autojump_clock: MockClock
) -> None:
    transfer = host.begin()
    said: list[tuple[float, JsonObject]] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(told, activity.events(), said)
        await moving(5.0, receive(transfer, 1, 10_000))
        assert 5.0 / EVENTS - 2 <= len(said) <= 5.0 / EVENTS + 2
        await trio.sleep(STALLED + 1)
        assert said[-1][1]["transfers"][0]["rate"] == 0
        quiet = len(said)
        await trio.sleep(HEARTBEAT - 2)
        assert len(said) == quiet
        transfer.cancel()
        await trio.sleep(2 * EVENTS)
        assert said[-1][1]["transfers"][0]["state"] == "failed"
        nursery.cancel_scope.cancel()


async def test_at_rest_nothing_is_said_but_a_heartbeat(
    host: FakeHost, activity: Activity, autojump_clock: MockClock
) -> None:
    said: list[tuple[float, JsonObject]] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(told, activity.events(), said)
        await trio.sleep(HEARTBEAT + RESTING + 1)
        assert len(said) == 2
        nursery.cancel_scope.cancel()


async def test_a_transfer_that_begins_is_told_at_once(
    host: FakeHost, activity: Activity, autojump_clock: MockClock
) -> None:
    said: list[tuple[float, JsonObject]] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(told, activity.events(), said)
        await trio.sleep(EVENTS + RESTING / 2)
        begun = trio.current_time()
        host.begin()
        activity.began()
        await trio.sleep(RESTING / 4)
        assert said[-1][0] == begun
        assert len(said[-1][1]["transfers"]) == 1
        nursery.cancel_scope.cancel()


async def test_what_is_sent(host: FakeHost, activity: Activity, autojump_clock: MockClock) -> None:
    host.linked.add(member(1))
    host.bytes_sent.update({member(1): 1_000_000, member(2): 5})
    said: list[tuple[float, JsonObject]] = []

    def send() -> None:
        host.bytes_sent[member(1)] += 5_000

    async with trio.open_nursery() as nursery:
        nursery.start_soon(told, activity.events(), said)
        await trio.sleep(STALLED + RESTING)
        assert len(said) == 1
        await moving(5.0, send)
        one, other = said[-1][1]["uploads"]
        assert one["bytes"] > 1_000_000
        assert one["rate"] == pytest.approx(50_000, rel=0.2)
        assert (one["linked"], other["linked"], other["rate"]) == (True, False, 0)
        assert (one["waiting"], other["waiting"]) == (100, 0)
        nursery.cancel_scope.cancel()


async def test_events_are_bounded(
    host: FakeHost, activity: Activity, autojump_clock: MockClock
) -> None:
    oldest = host.begin(0)
    for number in range(SHOWN_TRANSFERS + 8):
        await trio.sleep(0.1)
        host.begin(number + 1).cancel()
    for number in range(SHOWN_MEMBERS + 5):
        receive(oldest, number, number + 1)()
        host.bytes_sent[member(number)] = number
    event = activity.event()
    assert len(event["transfers"]) == SHOWN_TRANSFERS
    assert event["further_transfers"] == 9
    assert event["transfers"][-1]["study"] == str(oldest.study)  # under way: never left out
    assert len(event["transfers"][-1]["sources"]) == SHOWN_MEMBERS
    assert event["transfers"][-1]["further_sources"] == 5
    assert len(event["uploads"]) == SHOWN_MEMBERS
    assert len(activity.transfers()) == SHOWN_TRANSFERS + 9
    assert len(activity.uploads()) == SHOWN_MEMBERS + 5


async def test_whoever_asks_once_gets_the_rate_of_now(
    host: FakeHost, activity: Activity, autojump_clock: MockClock
) -> None:
    await activity.settle()
    assert trio.current_time() == 0  # nothing moves: nobody waits
    transfer = host.begin()
    receive(transfer, 1, 1_000_000)()
    await trio.sleep(100.0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(moving, 2.0, receive(transfer, 1, 1_000))
        await activity.settle()
        assert trio.current_time() == 100.0 + SETTLING
        (said,) = activity.transfers()
        assert said["rate"] == pytest.approx(10_000, rel=0.3)
        await activity.settle()  # somebody looked just now
        assert trio.current_time() == 100.0 + SETTLING


async def test_forgotten_transfers_are_forgotten_here(
    host: FakeHost, activity: Activity, autojump_clock: MockClock
) -> None:
    host.begin(1)
    activity.event()
    host.transfers.clear()
    host.begin(2)
    activity.event()
    assert len(activity._paces) == 1
