import gc
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import trio
from pydicom.uid import UID
from pynetdicom import AE, build_context
from pynetdicom.pdu import A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    MaximumLengthNotification,
)

from p2pacs import limits
from p2pacs.dimse.association import contexts
from p2pacs.dimse.association.association import Association, has_ended, release
from p2pacs.dimse.association.remote import DimseRemote
from p2pacs.dimse.association.requesting import associate
from p2pacs.dimse.association.tuning import DimseTuning
from p2pacs.dimse.association.upper_layer import Reactor
from p2pacs.dimse.server.listener import Listener
from p2pacs.errors import PacsBusyError, PacsUnreachableError, UsageError
from p2pacs.units import Endpoint
from tests.components import HOST, free_port
from tests.p2pacs.dimse.backends import Scripted, client, serving
from tests.p2pacs.dimse.samples import EXPLICIT


async def test_who_may_call_is_restricted() -> None:
    async with serving(Scripted(), allowed_callers=["ONE", "TWO "]) as server:
        await client(server.port, aet="TWO").echo()
        with pytest.raises(PacsUnreachableError, match="does not know our AE title"):
            await client(server.port, aet="THREE").echo()


async def test_associations_have_a_limit() -> None:
    async with serving(
        Scripted(), tuning=DimseTuning(associations=3, kept_associations=0)
    ) as server:
        remote = DimseRemote("GATEWAY", HOST, server.port)

        def call() -> Association:
            return associate(AE("SCU"), remote, [(contexts.VERIFICATION, [EXPLICIT])])

        opened = [await trio.to_thread.run_sync(call) for _ in range(3)]
        with pytest.raises(PacsBusyError, match="busy"):
            await trio.to_thread.run_sync(call)
        await trio.to_thread.run_sync(release, opened.pop())
        await gone(lambda: len(associations()) == 2)
        opened.append(await trio.to_thread.run_sync(call))
        for assoc in opened:
            await trio.to_thread.run_sync(release, assoc)


async def test_silent_connections_have_a_limit_too() -> None:
    bounds = DimseTuning(connections=2, kept_connections=0, connections_per_address=2)
    async with serving(Scripted(), tuning=bounds) as server:
        silent = [await trio.open_tcp_stream(HOST, server.port) for _ in range(2)]
        async with await trio.open_tcp_stream(HOST, server.port) as third:
            with trio.fail_after(60):
                assert await third.receive_some() == b""
        for stream in silent:
            await stream.aclose()


async def test_silent_strangers_give_way_to_a_workstation_that_no_setting_names() -> None:
    bounds = DimseTuning(connections=6, kept_connections=0, connections_per_address=3)
    async with serving(Scripted(), tuning=bounds) as server:
        silent = [await connect(server.port, 3, f"127.0.0.{host}") for host in (2, 3)]
        await client(server.port).echo()
        first, *others = [*silent[0], *silent[1]]
        with trio.fail_after(60):
            assert await first.receive_some() == b""
        for stream in others:
            with trio.move_on_after(0.01):
                assert await stream.receive_some() != b"", "one is enough"
        for stream in (first, *others):
            await stream.aclose()


async def test_an_unused_association_gives_way() -> None:
    bounds = DimseTuning(associations=1, kept_associations=0, unused=0.0)
    async with serving(Scripted(), tuning=bounds) as server:
        remote = DimseRemote("GATEWAY", HOST, server.port)

        def call() -> Association:
            return associate(AE("SCU"), remote, [(contexts.VERIFICATION, [EXPLICIT])])

        first = await trio.to_thread.run_sync(call)
        await client(server.port).echo()
        await gone(lambda: has_ended(first))


# ---------------------------------------------------------------- strangers

STRANGER = "127.0.0.2"
"""Another address of this host: loopback has many."""

REQUEST = bytes.fromhex("0100 0000 0100") + bytes(250)
"""The beginning of an A-ASSOCIATE-RQ."""

HASTY = DimseTuning(negotiate=2.0, pdu=1.0, farewell=0.2)
"""For strangers; who means it is faster, also on a busy machine."""


def associations() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if "AcceptorThread" in one.name]


def reactors() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if isinstance(one, Reactor)]


@pytest.fixture
def descriptors() -> Iterator[Callable[[], int]]:
    """Counts those of this process; what only the garbage collector would close counts as open."""
    folder = Path("/proc/self/fd")
    if not folder.is_dir():
        pytest.skip("descriptors are counted on Linux")
    gc.collect()
    gc.disable()
    try:
        yield lambda: len(list(folder.iterdir()))
    finally:
        gc.enable()


async def gone(over: Callable[[], bool]) -> None:
    """Wait for something that ends in threads, in real time."""
    with trio.fail_after(30):
        while not over():
            await trio.sleep(0.01)


async def connect(port: int, count: int, source: str = STRANGER) -> list[trio.SocketStream]:
    return [await trio.open_tcp_stream(HOST, port, local_address=source) for _ in range(count)]


async def drip(stream: trio.SocketStream, data: bytes) -> None:
    """A byte now and then, until the other side has had enough."""
    with suppress(trio.BrokenResourceError):
        for byte in data:
            await stream.send_all(bytes([byte]))
            with trio.move_on_after(0.05):
                if await stream.receive_some() == b"":
                    break
        else:
            pytest.fail("it may drip for ever")


async def test_dripping_strangers_lock_no_workstation_out(
    descriptors: Callable[[], int],
) -> None:
    """70 connections that send a byte now and then, as often as they come back."""
    before = descriptors()
    workstation = {"WS": DimseRemote("WS", HOST, free_port())}
    async with serving(Scripted(), workstation, tuning=HASTY) as server:
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                streams = await connect(server.port, 70)
                for stream in streams:
                    nursery.start_soon(drip, stream, REQUEST)
                await client(server.port).echo()
                most = limits.DICOM_CONNECTIONS_PER_ADDRESS + 1
                await gone(lambda most=most: len(associations()) <= most)
        await gone(lambda: not associations())
        for stream in streams:
            await stream.aclose()
        await client(server.port).echo()
    await gone(lambda: not reactors())
    await gone(lambda: descriptors() <= before)


@pytest.mark.parametrize("way", ["silent", "half a request", "reset", "closed", "rubbish"])
async def test_half_open_connections_leave_nothing_behind(
    descriptors: Callable[[], int], way: str
) -> None:
    before = descriptors()
    async with serving(Scripted(), tuning=HASTY) as server:
        for _ in range(2):
            streams = await connect(server.port, 15)
            for stream in streams:
                await begin(stream, way)
            await gone(lambda: not associations())
            for stream in streams:
                await stream.aclose()
        await client(server.port).echo()
    await gone(lambda: descriptors() <= before)


async def test_who_only_looks_whether_somebody_listens_takes_no_place() -> None:
    """A monitor that connects and hangs up: its place is free at once, not after negotiation."""
    bounds = DimseTuning(connections=3, kept_connections=0, negotiate=60)
    async with serving(Scripted(), tuning=bounds) as server:
        for _ in range(3):
            for stream in await connect(server.port, 3):
                await stream.aclose()
            await gone(lambda: not associations())
        await client(server.port).echo()


async def begin(stream: trio.SocketStream, way: str) -> None:
    """Open a connection and do not go on."""
    if way == "half a request":
        await stream.send_all(REQUEST[:20])
    elif way == "rubbish":
        await stream.send_all(b"GET / HTTP/1.0\r\n\r\n")
    elif way in ("reset", "closed"):
        if way == "reset":  # not in order: what is on its way is thrown away
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await stream.aclose()


async def test_an_association_that_drips_is_ended() -> None:
    """A stranger may have an association, and no more than its time for each PDU."""
    async with serving(Scripted(), tuning=HASTY) as server:
        (stream,) = await connect(server.port, 1)
        await stream.send_all(association_request())
        with trio.fail_after(30):
            assert (await stream.receive_some())[0] == 2  # A-ASSOCIATE-AC
        await gone(lambda: len(associations()) == 1)  # those of tests before may be ending
        await stream.send_all(bytes.fromhex("0400 0000 0400"))
        await drip(stream, bytes(1000))
        await gone(lambda: not associations())
        await stream.aclose()


def association_request() -> bytes:
    """An A-ASSOCIATE-RQ for C-ECHO."""
    request = A_ASSOCIATE()
    request.application_context_name = UID("1.2.840.10008.3.1.1.1")
    request.calling_ae_title, request.called_ae_title = "STRANGER", "GATEWAY"
    context = build_context(contexts.VERIFICATION, EXPLICIT)
    context.context_id = 1
    request.presentation_context_definition_list = [context]
    length, implementation = MaximumLengthNotification(), ImplementationClassUIDNotification()
    length.maximum_length_received, implementation.implementation_class_uid = 16384, UID("1.2.3")
    request.user_information = [length, implementation]
    pdu = A_ASSOCIATE_RQ()
    pdu.from_primitive(request)
    return pdu.encode()


async def test_our_own_associations_leave_nothing_behind(descriptors: Callable[[], int]) -> None:
    """Rejected, not there, aborted: whatever becomes of them."""
    before = descriptors()
    for _ in range(8):
        with pytest.raises(PacsUnreachableError):
            await client(free_port()).echo()
    async with serving(Scripted(), allowed_callers=["KNOWN"], tuning=HASTY) as server:
        for _ in range(8):
            with pytest.raises(PacsUnreachableError, match="does not know our AE title"):
                await client(server.port).echo()
            await client(server.port, "KNOWN").echo()
    await gone(lambda: descriptors() <= before)


def test_a_wrong_title_is_told_before_it_listens() -> None:
    with pytest.raises(UsageError, match="AE title"):
        Listener("", Endpoint(HOST, 0), stores=False, handlers=[])
    with pytest.raises(UsageError, match="AE title"):
        Listener("A", Endpoint(HOST, 0), stores=False, handlers=[], allowed_callers=["x" * 17])
