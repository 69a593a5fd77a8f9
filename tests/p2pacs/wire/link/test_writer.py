import pytest
import trio
from trio.testing import MockClock, memory_stream_pair

from p2pacs.wire.link.writer import LinkWriter
from tests.p2pacs.wire.channel.test_prompt import Taking


async def test_a_stream_that_takes_nothing_at_once_is_written_to_by_waiting() -> None:
    ours, other = memory_stream_pair()
    writer = LinkWriter(ours)
    assert not writer.write_now(b"frame", more=False)
    assert writer.bytes_sent == 0
    await writer.write(b"batch")
    assert await other.receive_some() == b"batch"
    assert (writer.bytes_sent, writer.torn, writer.unsent) == (5, False, False)


async def test_what_waits_goes_first_and_a_cancelled_write_tears_the_stream(
    autojump_clock: MockClock,
) -> None:
    stream = Taking()
    stream.most = 2
    writer = LinkWriter(stream)
    assert writer.write_now(b"frame", more=False)
    assert writer.unsent
    with trio.move_on_after(1):
        await writer.write(b"batch")
    assert writer.torn
    stream.gate.set()
    await writer.write(b"batch")
    assert stream.out == b"framebatch"
    assert (writer.torn, writer.unsent) == (False, False)


async def test_a_stream_that_broke_is_torn() -> None:
    ours, other = memory_stream_pair()
    writer = LinkWriter(ours)
    await other.aclose()
    with pytest.raises(trio.BrokenResourceError):
        await writer.write(b"batch")
    assert writer.torn
    await writer.close()
