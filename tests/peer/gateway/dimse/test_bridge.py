import threading
from collections.abc import Callable

import pytest
import trio
import trio.lowlevel

from p2pacs.errors import StudyNotFoundError, UnavailableError
from peer.gateway.dimse.bridge import Bridge


def _in_thread(function: Callable[[], object]) -> list[object]:
    """Run in a thread that is none of trio's; what it returned or raised."""
    results: list[object] = []

    def work() -> None:
        try:
            results.append(function())
        except (UnavailableError, StudyNotFoundError, ValueError) as error:
            results.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(10)
    return results


async def _double(number: int) -> int:
    await trio.lowlevel.checkpoint()
    return 2 * number


async def test_a_thread_gets_the_result(nursery: trio.Nursery) -> None:
    bridge = Bridge(nursery)
    results = await trio.to_thread.run_sync(_in_thread, lambda: bridge.call(_double, 21))
    assert results == [42]


@pytest.mark.parametrize("kind", [StudyNotFoundError, ValueError])
async def test_an_error_goes_to_the_thread_alone(
    nursery: trio.Nursery, kind: type[Exception]
) -> None:
    async def fail() -> None:
        raise kind("no")

    bridge = Bridge(nursery)
    (error,) = await trio.to_thread.run_sync(_in_thread, lambda: bridge.call(fail))
    assert isinstance(error, kind)
    assert not nursery.cancel_scope.cancel_called


async def test_a_call_under_way_ends_when_the_peer_stops() -> None:
    begun = trio.Event()

    async def wait() -> None:
        begun.set()
        await trio.sleep_forever()

    results: list[object] = []
    async with trio.open_nursery() as outer, trio.open_nursery() as inner:
        bridge = Bridge(inner)

        async def ask() -> None:
            results.extend(await trio.to_thread.run_sync(_in_thread, lambda: bridge.call(wait)))

        outer.start_soon(ask)
        await begun.wait()
        inner.cancel_scope.cancel()
    (error,) = results
    assert isinstance(error, UnavailableError)


def test_a_call_after_the_end() -> None:
    bridges: list[Bridge] = []

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            bridges.append(Bridge(nursery))

    trio.run(main)
    with pytest.raises(UnavailableError, match="stopping"):
        bridges[0].call(_double, 1)


async def test_a_call_after_the_nursery_closed() -> None:
    async with trio.open_nursery() as nursery:
        bridge = Bridge(nursery)
    (error,) = await trio.to_thread.run_sync(_in_thread, lambda: bridge.call(_double, 1))
    assert isinstance(error, UnavailableError)
