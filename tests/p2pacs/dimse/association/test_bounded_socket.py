"""Our socket under pynetdicom: real ones."""

import os
import resource
import socket
import struct
import threading

import pytest
import trio
from pynetdicom import AE

from p2pacs import limits
from p2pacs.dimse.association import bounded_socket
from p2pacs.dimse.association.association import Association
from p2pacs.dimse.association.bounded_socket import BoundedSocket
from tests.components import HOST
from tests.p2pacs.dimse.backends import Scripted, client, serving


def pair() -> tuple[BoundedSocket, socket.socket]:
    """Our socket on an association that does not run, and the other end of it."""
    with socket.create_server((HOST, 0)) as server:
        far = socket.create_connection(server.getsockname())
        near, _ = server.accept()
    assoc = Association(AE("TEST"), "acceptor")
    return BoundedSocket(assoc, client_socket=near), far


def test_a_pdu_longer_than_agreed_is_not_read() -> None:
    near, far = pair()
    with far, pytest.raises(OSError, match="longer than was agreed"):
        near.recv(limits.DICOM_PDU_BYTES + 1)


def test_it_reads_what_is_asked_for_and_acknowledges_at_once() -> None:
    near, far = pair()
    assert near.socket is not None
    with far:
        near.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
        sender = threading.Thread(target=far.sendall, args=(bytes(500_000),))
        sender.start()
        assert len(near.recv(300_000)) == 300_000
        assert near.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK) == 1
        assert near.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
        sender.join()
        far.shutdown(socket.SHUT_WR)
        assert len(near.recv(300_000)) == 200_000  # the end of the stream


def test_it_is_woken_by_what_is_to_be_sent() -> None:
    near, far = pair()
    with far:
        near.assoc.dul.to_provider_queue.put(None)  # type: ignore[arg-type]
        assert near._woken.recv(10) == b"\0"
        assert not near.ready
        far.sendall(b"x")
        while not near.ready:
            pass
        assert bytes(near.recv(1)) == b"x"


def test_it_reads_no_further_than_the_service_takes() -> None:
    near, far = pair()
    with far:
        far.sendall(b"x")
        for _ in range(bounded_socket._QUEUED_MESSAGES):
            near.assoc.dimse.msg_queue.put((None, None))
        assert not near.ready


def test_a_closed_connection_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    near, far = pair()
    near.shut()
    near.shut()  # not connected any more: no error
    near.send(b"x")
    far.close()
    near._shutdown_socket()
    assert not near.ready
    near.wake()  # closed: no error
    events = list(near.event_queue.queue)
    assert events[0] == "Evt5"
    assert set(events[1:]) == {"Evt17"}


async def test_descriptors_above_what_select_can_do() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4096), hard))
    spare = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    try:
        async with serving(Scripted()) as server:
            await client(server.port).echo()
    finally:
        for descriptor in spare:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\nHost: pacs\r\n\r\n",
        struct.pack(">BBL", 1, 0, 0xFFFFFFFF) + b"x" * 1000,
        struct.pack(">BBL", 4, 0, limits.DICOM_PDU_BYTES + 1),
        struct.pack(">BBL", 1, 0, 100) + b"\xff" * 100,
        b"\x01",
    ],
    ids=["http", "too long", "data too long", "not a request", "cut off"],
)
async def test_garbage_is_dropped_and_the_server_goes_on(garbage: bytes) -> None:
    async with serving(Scripted()) as server:
        stream = await trio.open_tcp_stream(HOST, server.port)
        async with stream:
            await stream.send_all(garbage)
            if len(garbage) == 1:
                await stream.send_eof()
            with trio.fail_after(30):
                try:
                    while await stream.receive_some():
                        pass
                except trio.BrokenResourceError:
                    pass  # reset, as it did not read everything
        await client(server.port).echo()
