from collections.abc import Callable
from pathlib import Path

import trio
from trio.testing import MockClock

from p2pacs.errors import ForbiddenError, LinkClosedError
from p2pacs.wire.messages.messages import CancelQuery, SendQuery
from peer.ingest.outgoing_parts import OutgoingTuning
from peer.ingest.outgoing_state import OutgoingState
from tests.conformance.instances import make
from tests.peer.ingest.bench import FakeBroker, Outgoing, outgoing, running
from tests.peer.ingest.test_outgoing_desk import desk_of

UID = "1.2.1"
STUDY = [make(UID, number=number) for number in (1, 2)]


async def until(condition: Callable[[], object]) -> None:
    """Threads take none of the time that is jumped over."""
    while not condition():
        await trio.sleep(1)


def told(broker: FakeBroker) -> list[CancelQuery]:
    return [one for one in broker.asked if isinstance(one, CancelQuery)]


async def cancelled(made: Outgoing, error: Exception | None = None) -> None:
    for one in STUDY:
        made.take(one)
    await trio.sleep(30)
    made.broker.error = error
    await desk_of(made).cancel(1, "anna")


async def test_the_broker_is_told_once_and_nothing_is_given_any_more(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with outgoing(tmp_path, broker := FakeBroker(stores=False)) as made, running(made):
        await cancelled(made)
        await until(lambda: broker.withheld == {broker.id_of(UID)})
        assert told(broker) == [CancelQuery(0, UID, 2)]
        made.studies.linked()
        await trio.sleep(600)
        assert len(told(broker)) == 1
        broker.stores = True
        await desk_of(made).retry(1, "anna")
        assert not broker.withheld
        await made.until_done(UID)
        assert isinstance(broker.asked[-2], SendQuery), "it is asked for anew"
        assert made.study(UID).is_stored


async def test_without_a_broker_it_is_told_later_also_if_it_was_removed(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with outgoing(tmp_path, broker := FakeBroker(stores=False)) as made, running(made):
        await cancelled(made, LinkClosedError("its line is cut"))
        await until(lambda: broker.withheld)
    broker.asked.clear()
    made_again = outgoing(tmp_path, broker)
    async with made_again as made, running(made):
        await trio.sleep(1)
        await desk_of(made).remove(1, "anna")
        assert made.spool.index.study(UID) is None
    broker.asked.clear()
    async with outgoing(tmp_path, broker) as made, running(made):
        await trio.sleep(1)
        broker.error = None
        made.studies.linked()
        await until(lambda: not made.spool.index.list_cancellations())
        assert told(broker)[-1] == CancelQuery(0, UID, 2)


async def test_what_was_not_told_before_it_is_sent_again_is_told_no_more(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with outgoing(tmp_path, broker := FakeBroker(stores=False)) as made, running(made):
        await cancelled(made, LinkClosedError("its line is cut"))
        await desk_of(made).retry(1, "anna")
        broker.error, broker.stores = None, True
        broker.asked.clear()
        made.studies.linked()
        await made.until_done(UID)
        assert not told(broker)


async def test_a_cancellation_that_does_not_concern_the_broker_is_not_repeated(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with outgoing(tmp_path, broker := FakeBroker(stores=False)) as made, running(made):
        for one in STUDY:
            made.take(one)
        await trio.sleep(30)
        broker.error = ForbiddenError("is not sent by this member")
        await desk_of(made).cancel(1, "anna")
        await until(lambda: broker.withheld)
        await trio.sleep(600)
        assert len(told(broker)) == 1
        assert (await desk_of(made).get(1)).state is OutgoingState.CANCELLED


async def test_one_that_came_too_late_is_in_the_pacs(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    tuning = OutgoingTuning(first_look_seconds=1000)
    async with outgoing(tmp_path, broker := FakeBroker(), tuning) as made, running(made):
        broker.stores = False
        for one in STUDY:
            made.take(one)
        await trio.sleep(30)
        broker.stored[broker.id_of(UID)] = made.study(UID).version
        await desk_of(made).cancel(1, "anna")
        await until(lambda: made.study(UID).is_stored and not broker.withheld)
        assert (await desk_of(made).get(1)).is_stored
