"""Blocks that leave without a turn of the scheduler, and what becomes of the rest of them."""

import trio
from trio.testing import MemoryReceiveStream, MockClock, wait_all_tasks_blocked

from p2pacs.errors import LinkClosedError
from p2pacs.wire.channel.prompt import PromptStream
from p2pacs.wire.link.link import run_link
from p2pacs.wire.messages.codec import encode
from p2pacs.wire.messages.messages import Block, ManifestNews
from tests.p2pacs.wire.recorder import ADDRESS, HELLO, STUDY, Recorder

BLOCK = Block(STUDY, 0, 0, 1000, bytes(1000))
FRAME = encode(BLOCK)


class Taking(PromptStream):
    """A stream that takes so many bytes at once."""

    prompt = True

    def __init__(self) -> None:
        self.coming = MemoryReceiveStream()
        self.out = b""
        self.mores: list[bool] = []
        self.most = 1_000_000
        self.gate = trio.Event()
        self.broken = False
        self._rest = b""

    def write(self, data: bytes, *, more: bool = False) -> bool:
        if self.broken:
            raise trio.BrokenResourceError
        self.out += data[: self.most]
        self.mores.append(more)
        self._rest = data[self.most :]
        return not self._rest

    async def flush(self) -> None:
        await self.gate.wait()
        self.out += self._rest

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await trio.lowlevel.checkpoint()
        self.out += data

    async def wait_send_all_might_not_block(self) -> None:
        await trio.lowlevel.checkpoint()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self.coming.receive_some(max_bytes)

    async def aclose(self) -> None:
        await self.coming.aclose()


class End:
    """A link on a `Taking`."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.stream = Taking()
        self.handler = Recorder()
        nursery.start_soon(self._run)

    async def _run(self) -> None:
        await run_link(
            self.stream, remote=ADDRESS, hello=HELLO, handler=self.handler, dialled=True, lan=False
        )

    async def greet(self) -> None:
        self.stream.coming.put_data(encode(HELLO))
        await self.handler.ready.wait()
        await wait_all_tasks_blocked()
        assert self.stream.out == encode(HELLO)
        self.stream.out = b""


async def test_a_block_leaves_at_once_and_the_link_stays_idle() -> None:
    async with trio.open_nursery() as nursery:
        end = End(nursery)
        await end.greet()
        link = end.handler.link
        drains, before = end.handler.drains, link.bytes_sent
        for _ in range(3):
            assert link.idle
            link.send_block(BLOCK)
        assert link.bytes_sent == before + 3 * len(FRAME)
        assert end.stream.out == 3 * FRAME
        assert end.handler.drains == drains, "nobody has to be told what did not change"
        nursery.cancel_scope.cancel()


async def test_within_a_chunk_more_follows() -> None:
    async with trio.open_nursery() as nursery:
        end = End(nursery)
        await end.greet()
        for offset in (0, 1000, 2000):
            end.handler.link.send_block(Block(STUDY, 3, offset, 3000, bytes(1000)))
        assert end.stream.mores == [True, True, False]
        nursery.cancel_scope.cancel()


async def test_the_rest_of_a_block_goes_before_anything_else(autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        end = End(nursery)
        await end.greet()
        link = end.handler.link
        end.stream.most = 100
        drains = end.handler.drains
        link.send_block(BLOCK)
        assert not link.idle
        news = ManifestNews(STUDY, b"root")
        link.send(news)
        await trio.sleep(5)
        assert end.stream.out == FRAME[:100]
        assert end.handler.drains == drains
        end.stream.gate.set()
        await wait_all_tasks_blocked()
        assert end.stream.out == FRAME + encode(news)
        assert link.idle
        assert end.handler.drains == drains + 1
        nursery.cancel_scope.cancel()


async def test_a_link_that_never_takes_the_rest_is_dropped(autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        end = End(nursery)
        await end.greet()
        end.stream.most = 100
        end.handler.link.send_block(BLOCK)
        end.handler.link.close(None)
        await trio.sleep(5)
        assert end.handler.ends == [None]


async def test_a_stream_that_broke_ends_the_link() -> None:
    async with trio.open_nursery() as nursery:
        end = End(nursery)
        await end.greet()
        end.stream.broken = True
        link = end.handler.link
        link.send_block(BLOCK)
        assert link.closed
        link.send_block(BLOCK)
    assert isinstance(end.handler.ends[0], LinkClosedError)
