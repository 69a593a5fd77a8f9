"""Links whose other end is a test, and handlers that write down what they hear."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import trio
from attrs import define, field
from trio.testing import lockstep_stream_pair, memory_stream_pair

from p2pacs.errors import (
    P2PacsError,
    RevokedError,
    StudyNotFoundError,
)
from p2pacs.ids import VirtualAddress
from p2pacs.wire.link.link import Link, run_link
from p2pacs.wire.messages.codec import encode
from p2pacs.wire.messages.messages import (
    PROTOCOL,
    Hello,
    Leave,
    Manifest,
    ManifestQuery,
    Message,
    Query,
    Reply,
    SegmentQuery,
)

HELLO = Hello(PROTOCOL, "test", 7)
ADDRESS = VirtualAddress(b"\xfd" + bytes(15))
STUDY = bytes(16)


@define
class Recorder:
    """A handler that writes down what it hears."""

    ready: trio.Event = field(factory=trio.Event)
    links: list[Link] = field(factory=list)
    heard: list[Message] = field(factory=list)
    ends: list[P2PacsError | None] = field(factory=list)
    results: list[P2PacsError | None] = field(factory=list)
    answer: Reply = field(factory=lambda: Manifest(0, b"root"))
    cancelled: int = 0
    drains: int = 0
    on_drained: Callable[[Link], None] = field(default=lambda link: None)

    @property
    def link(self) -> Link:
        return self.links[0]

    def opened(self, link: Link, hello: Hello) -> None:
        self.links.append(link)
        self.ready.set()

    def closed(self, link: Link, error: P2PacsError | None) -> None:
        self.ends.append(error)

    def news(self, link: Link, message: Message) -> None:
        self.heard.append(message)
        if isinstance(message, Leave):
            raise RevokedError("thrown out")

    def drained(self, link: Link) -> None:
        self.drains += 1
        self.on_drained(link)

    async def query(self, link: Link, query: Query) -> Reply:
        if isinstance(query, ManifestQuery):
            return self.answer
        if isinstance(query, SegmentQuery):
            try:
                await trio.sleep_forever()
            except trio.Cancelled:
                self.cancelled += 1
                raise
        raise StudyNotFoundError("nobody has it")

    async def run(self, stream: trio.abc.Stream, *, dialled: bool = True) -> None:
        self.results.append(
            await run_link(
                stream, remote=ADDRESS, hello=HELLO, handler=self, dialled=dialled, lan=False
            )
        )


@asynccontextmanager
async def linked() -> AsyncIterator[tuple[Recorder, Recorder]]:
    ours, theirs = Recorder(), Recorder()
    one, other = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ours.run, one)
        nursery.start_soon(theirs.run, other)
        await ours.ready.wait()
        await theirs.ready.wait()
        yield ours, theirs
        ours.link.close(None)


@asynccontextmanager
async def raw() -> AsyncIterator[tuple[Recorder, trio.abc.Stream]]:
    """A link to a test that plays the other side byte by byte."""
    ours = Recorder()
    one, other = lockstep_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ours.run, one)
        yield ours, other
        nursery.cancel_scope.cancel()


async def greet(other: trio.abc.Stream, hello: Hello = HELLO) -> None:
    await other.send_all(encode(hello))
