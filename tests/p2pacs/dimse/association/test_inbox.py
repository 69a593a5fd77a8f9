import pytest
import trio

from p2pacs.dimse.association.inbox import Inbox
from p2pacs.errors import PacsRefusedError
from tests.p2pacs.dimse.samples import instance, series

SIZE = len(instance().data)


async def test_everything_arrives_in_order_and_then_it_ends() -> None:
    inbox, sent = Inbox(capacity=2 * SIZE), series(20)

    def feed() -> None:
        assert all(inbox.put(one) for one in sent)
        inbox.close()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.to_thread.run_sync, feed)
        assert [one async for one in inbox] == sent


async def test_who_puts_waits_while_it_is_full() -> None:
    inbox, taken = Inbox(capacity=3 * SIZE), 0

    def feed() -> None:
        for number, one in enumerate(series(10)):
            inbox.put(one)
            assert number + 1 <= taken + 4  # three wait, and one is being handed over
        inbox.close()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.to_thread.run_sync, feed)
        async for _ in inbox:
            taken += 1
    assert taken == 10


async def test_an_instance_larger_than_the_inbox_passes() -> None:
    inbox = Inbox(capacity=1)
    assert inbox.put(instance())
    inbox.close()
    assert [one async for one in inbox] == [instance()]


async def test_the_error_comes_after_the_last_instance_and_the_first_counts() -> None:
    inbox = Inbox()
    inbox.put(instance())
    inbox.close(PacsRefusedError("some failed"))
    inbox.close()
    assert await anext(inbox) == instance()
    with pytest.raises(PacsRefusedError, match="some failed"):
        await anext(inbox)


async def test_abandoned_it_lets_go_of_who_waits() -> None:
    inbox = Inbox(capacity=1)
    assert inbox.put(instance())
    async with trio.open_nursery() as nursery:

        async def blocked() -> None:
            assert not await trio.to_thread.run_sync(inbox.put, instance(2))

        nursery.start_soon(blocked)
        inbox.abandon()
    assert not inbox.put(instance(3))


def test_after_the_end_of_trio_nobody_takes() -> None:
    async def make() -> Inbox:
        return Inbox()

    assert not trio.run(make).put(instance())
