import socket

import trio
import trio.testing

from p2pacs.line import tcpinfo
from p2pacs.line.paced import (
    SEND_BUFFER,
    SO_MAX_PACING_RATE,
    UNSENT_BYTES,
    PacedStream,
    shape,
    shorten_receiving,
)
from p2pacs.line.pacer import Pacer
from p2pacs.line.pacing import NO_OVERHEAD, TLS_OVER_TCP
from p2pacs.wire.channel.prompt import PromptStream

Clock = trio.testing.MockClock


def tokens(pacer: Pacer) -> float:
    return pacer._bucket._tokens


async def read_all(stream: trio.abc.Stream, size: int) -> None:
    while size > 0:
        data = await stream.receive_some()
        size -= len(data)


async def test_several_readers_share_the_downlink(autojump_clock: Clock) -> None:
    down = Pacer(3_000_000)
    start = trio.current_time()
    async with trio.open_nursery() as nursery:
        for _ in range(4):
            here, there = trio.testing.memory_stream_pair()
            nursery.start_soon(there.send_all, bytes(300_000))
            nursery.start_soon(read_all, PacedStream(here, None, down), 300_000)
    await down.ready()
    least = 4 * TLS_OVER_TCP.wire_bytes(300_000) / 375_000
    assert 0.98 * least < trio.current_time() - start < 1.05 * least


async def test_blocks_are_prepaid_and_control_is_charged(autojump_clock: Clock) -> None:
    up = Pacer(800_000)
    here, there = trio.testing.memory_stream_pair()
    stream = PacedStream(here, up, None)
    assert stream.uplink
    stream.prepay(8000)
    before = tokens(up)
    await stream.send_all(bytes(8000))
    assert tokens(up) == before
    await stream.send_all(bytes(100))
    assert tokens(up) == before - TLS_OVER_TCP.wire_bytes(100)
    assert len(await there.receive_some()) == 8100
    await stream.wait_send_all_might_not_block()
    await stream.aclose()


async def test_acknowledgements_are_charged_too(autojump_clock: Clock) -> None:
    up = Pacer(800_000)
    here, there = trio.testing.memory_stream_pair()
    await there.send_all(bytes(100_000))
    before = tokens(up)
    await PacedStream(here, up, None).receive_some()
    assert before - tokens(up) > 1500


async def test_paced_sockets_have_short_queues() -> None:
    sock = trio.socket.socket()
    with sock:
        default = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        assert shape(sock, 100_000, bounded=False)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) <= 2 * SEND_BUFFER
        shorten_receiving(sock, 375_000)
        assert sock.getsockopt(socket.SOL_SOCKET, SO_MAX_PACING_RATE) == 100_000
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT) == UNSENT_BYTES
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) < 2 * default


async def test_on_a_fast_line_the_kernel_chooses_its_buffers() -> None:
    sock = trio.socket.socket()
    with sock:
        both = (socket.SO_SNDBUF, socket.SO_RCVBUF)
        default = [sock.getsockopt(socket.SOL_SOCKET, one) for one in both]
        assert not shape(sock, 10_000_000, bounded=False)
        shorten_receiving(sock, 10_000_000)
        assert [sock.getsockopt(socket.SOL_SOCKET, one) for one in both] == default
        assert shape(sock, 100_000, bounded=False)
        small = sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
        assert shape(sock, 10_000_000, bounded=True)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) > small


async def test_a_bare_line_carries_payload_alone(autojump_clock: Clock) -> None:
    up = Pacer(800_000, NO_OVERHEAD)
    here, there = trio.testing.memory_stream_pair()
    before = tokens(up)
    await PacedStream(here, up, None).send_all(bytes(1000))
    await there.send_all(bytes(100_000))
    await PacedStream(here, up, None).receive_some()
    assert tokens(up) == before - 1000


async def test_estimates_are_corrected_by_the_kernel() -> None:
    listener = (await trio.open_tcp_listeners(0, host="127.0.0.1"))[0]
    here = await trio.open_tcp_stream("127.0.0.1", listener.socket.getsockname()[1])
    there = await listener.accept()
    up, down = Pacer(800_000_000), Pacer(800_000_000)
    stream = PacedStream(here, up, down, here.socket)
    for _ in range(5):
        stream.prepay(10_000)
        await stream.send_all(bytes(10_000))
        await there.receive_some()
        await there.send_all(bytes(10))
        await stream.receive_some()
    info = tcpinfo.read(here.socket)
    assert info is not None
    assert stream._up is not None
    stream._up.look(trio.current_time())
    assert stream._up.meter._truth == info.bytes_sent + 52 * info.segs_out
    await stream.aclose()
    await there.aclose()
    await listener.aclose()


async def test_what_leaves_at_once_is_charged_like_the_rest(autojump_clock: Clock) -> None:
    class Taking(PromptStream):
        prompt = True

        def write(self, data: bytes, *, more: bool = False) -> bool:
            return len(data) < 5000

        async def flush(self) -> None:
            await trio.lowlevel.checkpoint()

        async def send_all(self, data: bytes | bytearray | memoryview) -> None: ...
        async def wait_send_all_might_not_block(self) -> None: ...
        async def receive_some(self, max_bytes: int | None = None) -> bytes:
            return b""

        async def aclose(self) -> None: ...

    up, down = Pacer(800_000), Pacer(3_000_000)
    assert not PacedStream(trio.testing.memory_stream_pair()[0], up, down).prompt
    stream = PacedStream(Taking(), up, down)
    assert stream.prompt
    before, acknowledged = tokens(up), tokens(down)
    assert stream.write(bytes(4000))
    assert not stream.write(bytes(6000))
    await stream.flush()
    wire = TLS_OVER_TCP.wire_bytes
    assert tokens(up) == before - wire(4000) - wire(6000)
    assert tokens(down) == acknowledged - TLS_OVER_TCP.ack_bytes(4000) - TLS_OVER_TCP.ack_bytes(
        6000
    )


async def test_a_rate_that_differs_a_little_changes_the_spacing_alone() -> None:
    up = Pacer(800_000)
    sock = trio.socket.socket()
    with sock:
        stream = PacedStream(trio.testing.memory_stream_pair()[0], up, None, sock)
        kept = sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
        for bits, spaced in ((820_000, 100_000), (900_000, 112_500), (4_000_000, 500_000)):
            up.change(bits)
            assert sock.getsockopt(socket.SOL_SOCKET, SO_MAX_PACING_RATE) == spaced
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) > kept
        assert stream.uplink
