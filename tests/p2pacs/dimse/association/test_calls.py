"""Calls can be cancelled whatever they wait for, and a PACS that hangs holds nobody."""

from contextlib import AsyncExitStack

import pytest
import trio
from pynetdicom import AE

from p2pacs.dimse.association.association import Association
from p2pacs.dimse.association.calls import CallAssociation
from p2pacs.dimse.association.tuning import DimseTuning
from p2pacs.errors import DeadlineError, PacsUnreachableError
from tests.components import HOST
from tests.p2pacs.dimse.backends import Scripted, client, serving
from tests.p2pacs.dimse.samples import CT, EXPLICIT, series, study


async def listener() -> trio.SocketListener:
    """Accepts connections into its queue, and never says anything."""
    (found,) = await trio.open_tcp_listeners(0, host=HOST)
    return found


async def test_cancelled_while_it_waits_for_the_association() -> None:
    async with await listener() as silent, trio.open_nursery() as nursery:
        port = silent.socket.getsockname()[1]
        nursery.start_soon(client(port).echo)
        stream = await silent.accept()
        await stream.receive_some()  # the request has come: now it waits for the answer
        with trio.fail_after(30):
            nursery.cancel_scope.cancel()
            while await stream.receive_some():
                pass  # until it hangs up
    await stream.aclose()


async def test_cancelled_at_any_moment_while_it_opens() -> None:
    async with serving(Scripted(series(1))) as server:
        with trio.fail_after(60):
            for checkpoints in range(40):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(client(server.port).find, study())
                    for _ in range(checkpoints):
                        await trio.sleep(0.0005)
                    nursery.cancel_scope.cancel()


async def test_a_silent_pacs_meets_a_deadline() -> None:
    async with await listener() as silent:
        with pytest.raises(PacsUnreachableError):
            await client(silent.socket.getsockname()[1], tuning=DimseTuning(negotiate=0.2)).echo()


async def test_a_pacs_that_hangs_in_the_middle_meets_a_deadline() -> None:
    backend = Scripted(series(3))
    backend.pause_after = 1
    async with serving(backend) as server:
        taken = []
        with pytest.raises(DeadlineError, match="hung"):
            async with client(server.port, silence=1.0).get(
                study(), classes={CT: [EXPLICIT]}
            ) as inbox:
                taken = [one async for one in inbox]
        assert taken == []
        with trio.fail_after(30):
            await trio.to_thread.run_sync(backend.closed.wait)


async def test_leaving_the_block_hangs_up_and_stops_the_server() -> None:
    backend = Scripted(series(10))
    backend.pause_after = 2
    async with serving(backend) as server:
        with trio.fail_after(30):
            async with client(server.port).get(study(), classes={CT: [EXPLICIT]}) as inbox:
                assert await anext(inbox) == backend.held[0]
            await trio.to_thread.run_sync(backend.closed.wait)


async def test_an_error_of_the_block_is_not_wrapped() -> None:
    async with serving(Scripted(series(3))) as server:

        async def take_one() -> None:
            async with client(server.port).get(study(), classes={CT: [EXPLICIT]}) as inbox:
                await anext(inbox)
                raise KeyError("mine")

        with pytest.raises(KeyError, match="mine"):
            await take_one()


async def test_when_the_server_ends_its_associations_end() -> None:
    backend = Scripted(series(3))
    backend.pause_after = 1
    async with AsyncExitStack() as running:
        server = await running.enter_async_context(serving(backend))
        async with client(server.port).get(study(), classes={CT: [EXPLICIT]}) as inbox:
            assert await anext(inbox) == backend.held[0]
            with trio.fail_after(30):
                await running.aclose()
            with pytest.raises(PacsUnreachableError):
                await anext(inbox)


def test_a_line_that_is_cut_opens_no_association() -> None:
    line = CallAssociation()
    line.cut()
    with pytest.raises(PacsUnreachableError, match="cancelled"):
        line.opening(Association(AE("SCU"), "requestor"))
