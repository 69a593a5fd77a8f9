"""Members that do what no program of ours does: they speak the protocol by hand."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from p2pacs.errors import LinkClosedError, P2PacsError
from p2pacs.limits import FRAME_BYTES
from p2pacs.wire.messages import messages
from p2pacs.wire.messages.codec import decode, encode
from p2pacs.wire.messages.frames import FrameReader
from p2pacs.wire.messages.messages import Hello, Message, Ping, Pong
from p2pacs.wire.messages.numbers import Numbers
from tests.simulation.lines import LineStream, connect
from tests.simulation.world import SimMember, Study


class Talk:
    """One link, as a rogue has it."""

    def __init__(self, stream: LineStream, study: Study, member: SimMember) -> None:
        self.stream = stream
        self.study = study
        self.member = member
        """Who is at the other end."""
        self._frames = FrameReader(FRAME_BYTES)
        self._numbers = Numbers()

    @property
    def id(self) -> bytes:
        """The study's."""
        return bytes(self.study.id)

    async def say(self, *said: Message) -> None:
        """Send messages together."""
        await self.stream.send_all(b"".join(encode(message) for message in said))

    async def greet(self) -> None:
        """What every link begins with."""
        await self.say(Hello(messages.PROTOCOL, "rogue", 1))

    async def join(self, *, fetching: bool = False, have: bool = True, priority: int = 2) -> None:
        """Take part: with all chunks or none."""
        count = len(self.study.data)
        bits = ((1 << count) - 1) << (-count % 8)
        raw = bits.to_bytes(-(-count // 8), "big") if have else b""
        version = len(self.study.roots)
        await self.say(messages.Join(self.id, version, raw, fetching, priority, offers=True))

    async def hear(self) -> list[Message]:
        """What was said next; an answer to each ping goes back at once.

        Raises:
            LinkClosedError: nothing more comes.
        """
        data = await self.stream.receive_some()
        if not data:
            raise LinkClosedError("the other side closed the link")
        heard: list[Message] = []
        for payload in self._frames.feed(data):
            heard.append(decode(payload, self._numbers))
            self._numbers.joined(heard[-1])
        pongs = [Pong(message.id) for message in heard if isinstance(message, Ping)]
        if pongs:
            await self.say(*pongs)
        return heard

    async def listen(self, handle: Callable[[Message], Awaitable[object]]) -> None:
        """Handle all that is said, until the link ends."""
        while True:
            for message in await self.hear():
                await handle(message)


Behaviour = Callable[[Talk], Awaitable[object]]


class Rogue(SimMember):
    """A member without an engine: every link of it does what `behave` says."""

    study: Study
    behave: Behaviour
    refused: int = 0
    """Links that ended with an error of the other side."""
    links: int = 0
    """Links that were opened, by either side."""

    async def start(self) -> None:
        """Be there; links do all."""
        self._nursery = self.world.nursery

    @property
    def up(self) -> bool:
        return self._nursery is not None

    def kill(self) -> None:
        """It is gone."""
        self._nursery = None
        for stream in self.streams:
            stream.cut()

    async def _serve(self, other: SimMember, stream: LineStream) -> None:
        await self._talk(other, stream)

    async def dial(self, member: SimMember) -> None:
        """Open a link to a member and do on it what this one does, until it ends."""
        other = member._nursery
        await trio.sleep(2 * (self.nic.delay + member.nic.delay))
        if other is None:
            return
        here, there = connect(self.nic, member.nic)
        self.streams.append(here)
        member.streams.append(there)
        other.start_soon(member._serve, self, there)
        await self._talk(member, here)

    async def _talk(self, member: SimMember, stream: LineStream) -> None:
        self.links += 1
        talk = Talk(stream, self.study, member)
        try:
            await talk.greet()
            await self.behave(talk)
        except* (P2PacsError, trio.BrokenResourceError, trio.ClosedResourceError):
            self.refused += 1
        finally:
            stream.cut()

    async def bother(self, *members: SimMember, pause: float = 0.5) -> None:
        """Keep a link to each of these members for ever, however often they end it."""

        async def keep(member: SimMember) -> None:
            while self.up and member.up:
                await self.dial(member)
                await trio.sleep(pause)

        async with trio.open_nursery() as nursery:
            for member in members:
                nursery.start_soon(keep, member)
