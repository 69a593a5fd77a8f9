from pathlib import Path

import pytest

from p2pacs.dataset.large import LargeInstance
from p2pacs.dimse.association.inbox import Inbox
from p2pacs.dimse.server.receiver import StorageReceiver, storage_receiver
from p2pacs.errors import PacsRefusedError, StateError
from p2pacs.units import Endpoint
from tests.components import HOST, free_port
from tests.p2pacs.dimse.backends import client
from tests.p2pacs.dimse.samples import instance, series


async def test_what_nobody_asked_for_is_refused() -> None:
    endpoint = Endpoint(HOST, free_port())
    async with storage_receiver("US", endpoint):
        with pytest.raises(PacsRefusedError, match="0x0124"):
            await client(endpoint.port, called="US").store(series(1))


async def test_a_pacs_that_names_no_originator_serves_one_request_at_a_time() -> None:
    endpoint = Endpoint(HOST, free_port())
    async with storage_receiver("US", endpoint) as receiver:
        scu, inbox = client(endpoint.port, called="US"), Inbox()
        with receiver.expecting(inbox):
            await scu.store(series(2))
            assert [await anext(inbox), await anext(inbox)] == series(2)
            with receiver.expecting(Inbox()), pytest.raises(PacsRefusedError, match="0x0124"):
                await scu.store(series(1))
        inbox.close()


async def test_a_large_one_comes_onto_the_disk(tmp_path: Path) -> None:
    endpoint, sent = Endpoint(HOST, free_port()), instance(size=20 << 20)
    async with storage_receiver("US", endpoint, folder=tmp_path) as receiver:
        inbox = Inbox()
        with receiver.expecting(inbox):
            await client(endpoint.port, called="US").store([sent, *series(1)])
            large, small = await anext(inbox), await anext(inbox)
    assert isinstance(large, LargeInstance)
    assert large.read(0, large.size) == sent.data
    assert small == series(1)[0]


async def test_an_inbox_that_nobody_reads_any_more_refuses() -> None:
    endpoint = Endpoint(HOST, free_port())
    async with storage_receiver("US", endpoint) as receiver:
        inbox = Inbox()
        inbox.abandon()
        with receiver.expecting(inbox), pytest.raises(PacsRefusedError, match="0xA700"):
            await client(endpoint.port, called="US").store(series(1))


async def test_message_ids_go_round() -> None:
    receiver, inbox = StorageReceiver("US"), Inbox()
    numbers = set()
    for _ in range(0x10001):
        with receiver.expecting(inbox) as number:
            numbers.add(number)
    assert (min(numbers), max(numbers), len(numbers)) == (1, 0xFFFF, 0xFFFF)


async def test_two_cannot_listen_on_one_port() -> None:
    endpoint = Endpoint(HOST, free_port())
    async with storage_receiver("US", endpoint):
        with pytest.raises(StateError, match="cannot listen on"):
            async with storage_receiver("US", endpoint):
                raise AssertionError("unreachable")
