import queue
from collections.abc import AsyncGenerator, Awaitable, Callable
from functools import partial

import pytest
import trio

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.errors import CodingError, NoSourceError, P2PacsError, UnavailableError
from p2pacs.limits import MIB
from peer.retrieval.instances.read_ahead import AHEAD, ReadAhead, ReadRequest, ThreadReadAhead
from tests.p2pacs.study.samples import instance

SENT = [instance(n, rows=8, columns=8) for n in range(1, 13)]


class Shelf:
    """Instances that become readable one by one."""

    def __init__(self, size: int = 100) -> None:
        self.size = size
        self.begun: list[int] = []
        self.ready = [trio.Event() for _ in SENT]
        self.errors: dict[int, P2PacsError] = {}
        self.end: P2PacsError | None = None

    def read(self, place: int) -> Callable[[], Awaitable[EncodedInstance]]:
        async def read() -> EncodedInstance:
            self.begun.append(place)
            await self.ready[place].wait()
            if place in self.errors:
                raise self.errors[place]
            return SENT[place]

        return read

    async def requests(self) -> AsyncGenerator[ReadRequest[EncodedInstance], None]:
        for place in range(len(SENT)):
            yield ReadRequest(self.size, self.read(place))
        if self.end is not None:
            raise self.end


def made(shelf: Shelf) -> ThreadReadAhead[EncodedInstance]:
    """Taken in the thread of the event loop here, which then is called at once."""
    return ThreadReadAhead(shelf.requests(), _now)


def _now(function: Callable[[], object]) -> None:
    function()


async def taken(ahead: ThreadReadAhead[EncodedInstance]) -> EncodedInstance | None:
    while True:
        try:
            return ahead.take(0)
        except queue.Empty:
            await trio.sleep(1)


async def test_they_are_taken_in_order(
    nursery: trio.Nursery, autojump_clock: trio.abc.Clock
) -> None:
    shelf = Shelf()
    ahead = made(shelf)
    nursery.start_soon(ahead.run)

    async def last_first() -> None:
        while not all(one.is_set() for one in shelf.ready):
            await trio.sleep(1)
            for place in sorted(shelf.begun, reverse=True):
                if not shelf.ready[place].is_set():
                    shelf.ready[place].set()
                    break

    nursery.start_soon(last_first)
    assert [await taken(ahead) for _ in SENT] == SENT
    assert await taken(ahead) is None


@pytest.mark.parametrize(("size", "count"), [(100, AHEAD), (8 * MIB, 2), (100 * MIB, 1)])
async def test_little_is_read_ahead(
    nursery: trio.Nursery, autojump_clock: trio.abc.Clock, size: int, count: int
) -> None:
    shelf = Shelf(size)
    for one in shelf.ready:
        one.set()
    ahead = made(shelf)
    nursery.start_soon(ahead.run)
    await trio.sleep(1)
    assert len(shelf.begun) == count
    assert ahead.take(0) == SENT[0]
    await trio.sleep(1)
    assert len(shelf.begun) == count + 1
    nursery.cancel_scope.cancel()


async def test_an_error_comes_in_its_place(
    nursery: trio.Nursery, autojump_clock: trio.abc.Clock
) -> None:
    shelf = Shelf()
    shelf.errors[1] = CodingError("it does not decode")
    shelf.end = NoSourceError("nobody has the rest")
    for one in shelf.ready:
        one.set()
    ahead = made(shelf)
    nursery.start_soon(ahead.run)
    assert await taken(ahead) == SENT[0]
    with pytest.raises(CodingError):
        await taken(ahead)
    assert [await taken(ahead) for _ in SENT[2:]] == SENT[2:]
    with pytest.raises(NoSourceError):
        await taken(ahead)
    assert await taken(ahead) is None


async def test_cancelled_it_is_no_orderly_end(autojump_clock: trio.abc.Clock) -> None:
    """Whoever takes would believe that it has all."""
    shelf = Shelf()
    shelf.ready[0].set()
    ahead = made(shelf)
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ahead.run)
            await trio.sleep(1)
            scope.cancel()
    assert ahead.take(0) == SENT[0]
    with pytest.raises(UnavailableError):
        ahead.take(0)


async def test_a_thread_takes_while_others_are_read() -> None:
    shelf = Shelf()
    for one in shelf.ready:
        one.set()
    token = trio.lowlevel.current_trio_token()
    ahead = ThreadReadAhead(shelf.requests(), token.run_sync_soon)
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ahead.run)
            assert (
                await trio.to_thread.run_sync(lambda: list(iter(partial(ahead.take, 10), None)))
                == SENT
            )


async def test_a_task_takes_in_order(nursery: trio.Nursery, autojump_clock: trio.abc.Clock) -> None:
    shelf = Shelf()
    shelf.errors[3] = CodingError("it does not decode")
    shelf.end = NoSourceError("nobody has the rest")
    for one in shelf.ready:
        one.set()
    ahead = ReadAhead(shelf.requests())
    nursery.start_soon(ahead.run)
    await trio.sleep(1)
    assert len(shelf.begun) == AHEAD
    assert [await ahead.next() for _ in SENT[:3]] == SENT[:3]
    with pytest.raises(CodingError):
        await ahead.next()
    assert [await ahead.next() for _ in SENT[4:]] == SENT[4:]
    with pytest.raises(NoSourceError):
        await ahead.next()
    assert await ahead.next() is None
