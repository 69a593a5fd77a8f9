"""What changes on open pages, as server-sent events (WHATWG HTML 9.2): looked at and written down
once for each language, and given to all of them.

Each topic is a state and no news of one: a page that reads slowly gets the latest of each topic and
misses nothing but what was before it. So what waits for a page is bounded by the topics.
"""

from __future__ import annotations

import json
from collections import OrderedDict, defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from typing import Final, Protocol

import trio
from attrs import define, field, frozen
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from p2pacs.concurrency.signals import Bell, Watch
from p2pacs.languages import current, speaking
from p2pacs.output.json_object import JsonObject

EVENT_STREAM: Final = "text/event-stream"


@frozen
class LiveTuning:
    """What live pages go by; seconds, unless it says otherwise."""

    every: float = 0.3
    """Between two looks while something moves: a new chunk is seen within this time."""

    resting: float = 0.2
    """So much longer while nothing does."""

    heartbeat: float = 15.0
    """After which a stream says that it is there, and looks whether its session is."""

    retry: int = 3
    """After which a browser asks again when a stream broke."""

    streams: int = 6
    """Streams of one session: a browser opens so many connections to one server. The one that was
    opened first ends when there is one more."""

    readers: int = 512
    """Streams in all."""


TUNING: Final = LiveTuning()

State = Mapping[str, JsonObject]
"""Topic → how it is."""


class LiveSource(Protocol):
    """What is looked at."""

    async def prepare(self) -> None:
        """Before each look: read what has to be read for it."""

    def look(self) -> State:
        """How every topic is now."""

    @property
    def moving(self) -> bool:
        """Whether it will soon be other."""


@define(eq=False)
class LiveReader:
    """One open page."""

    wants: Callable[[str], bool]
    session: str = field(repr=False)
    language: str = field(factory=current)
    pending: dict[str, bytes] = field(factory=dict, repr=False)
    """Topic → its latest event, not sent yet."""
    bell: Bell = field(factory=Bell)
    over: bool = False
    """Whether it is to end, as the session has too many."""

    def offer(self, topic: str, event: bytes) -> None:
        """A topic changed."""
        if self.wants(topic):
            self.pending[topic] = event
            self.bell.ring()

    def take(self) -> bytes:
        """All that is to be sent; empty if nothing is."""
        events, self.pending = self.pending, {}
        return b"".join(events.values())


class LiveUpdates:
    """The open pages of one program."""

    def __init__(self, source: LiveSource, tuning: LiveTuning = TUNING) -> None:
        """Nobody reads yet.

        Args:
            source: what is looked at, while somebody reads.
            tuning: how often.
        """
        self._tuning = tuning
        self._source = source
        self._events: defaultdict[str, dict[str, bytes]] = defaultdict(dict)
        """Language → topic → its latest event."""
        self._readers: OrderedDict[LiveReader, None] = OrderedDict()
        self._woken = 0
        self._watch = Watch()

    def __len__(self) -> int:
        return len(self._readers)

    def _wake(self) -> None:
        """Somebody came: look now."""
        self._woken += 1
        self._watch.changed()

    async def run(self) -> None:
        """Look for as long as somebody reads, for ever."""
        while True:
            if not self._readers:
                self._events.clear()
            await self._watch.until(lambda: bool(self._readers))
            woken = self._woken
            await self._source.prepare()
            wanted = {reader.language for reader in self._readers}
            for language in self._events.keys() - wanted:
                del self._events[language]
            for language in wanted:
                with speaking(language):
                    self._publish(language, self._source.look())
            await trio.sleep(self._tuning.every)
            if not self._source.moving:
                await self._rest(woken)

    async def _rest(self, woken: int) -> None:
        """Until somebody came since, or there may be something else to see."""
        with trio.move_on_after(self._tuning.resting):
            await self._watch.until(lambda: self._woken != woken)

    def _publish(self, language: str, state: State) -> None:
        events = self._events[language]
        for topic in events.keys() - state.keys():
            del events[topic]
            self._offer(language, topic, encode_event(topic, {}))
        for topic, value in state.items():
            event = encode_event(topic, value)
            if events.get(topic) != event:
                events[topic] = event
                self._offer(language, topic, event)

    def _offer(self, language: str, topic: str, event: bytes) -> None:
        for reader in self._readers:
            if reader.language == language:
                reader.offer(topic, event)

    # ------------------------------------------------------------ reading

    @contextmanager
    def _reading(self, reader: LiveReader) -> Iterator[None]:
        self._make_room(reader.session)
        self._readers[reader] = None
        for topic, event in self._events[reader.language].items():
            reader.offer(topic, event)
        self._wake()
        try:
            yield
        finally:
            self._readers.pop(reader, None)

    def _make_room(self, session: str) -> None:
        of_session = [one for one in self._readers if one.session == session]
        for one in of_session[: max(0, len(of_session) - self._tuning.streams + 1)]:
            self._end(one)
        while len(self._readers) >= self._tuning.readers:
            self._end(next(iter(self._readers)))

    def _end(self, reader: LiveReader) -> None:
        self._readers.pop(reader, None)
        reader.over = True
        reader.bell.ring()

    def end_session(self, session: str) -> None:
        """Somebody signed out: the streams of this session end."""
        for reader in [one for one in self._readers if one.session == session]:
            self._end(reader)

    def end_all(self) -> None:
        """The program stops: no stream keeps it."""
        for reader in list(self._readers):
            self._end(reader)

    async def stream(
        self,
        wants: Callable[[str], bool],
        session: str,
        is_valid: Callable[[], Awaitable[bool]],
    ) -> AsyncGenerator[bytes, None]:
        """The events of one page, until its session ends.

        Args:
            wants: which topics it shows.
            session: what tells its session from others.
            is_valid: whether that session is not over.
        """
        reader = LiveReader(wants, session)
        with self._reading(reader):
            yield f"retry: {1000 * self._tuning.retry}\n\n".encode()
            checked = trio.current_time()
            while True:
                with trio.move_on_after(self._tuning.heartbeat) as waiting:
                    await reader.bell.wait()
                if trio.current_time() - checked >= self._tuning.heartbeat:
                    checked = trio.current_time()
                    if not await is_valid():
                        break
                if reader.over:
                    break
                if events := reader.take():
                    yield events
                elif waiting.cancelled_caught:
                    yield b": still here\n\n"
        yield OVER


OVER: Final = b"event: over\ndata: {}\n\n"
"""The last event of a stream: the browser is not to ask again by itself."""


def encode_event(topic: str, value: JsonObject) -> bytes:
    """An event: its data is one line, as JSON has no line ends outside of texts."""
    data = json.dumps([topic, value], separators=(",", ":"))
    return f"data: {data}\n\n".encode()


class EventStream(StreamingResponse):
    """An answer that goes on; it ends with the request whatever happens."""

    def __init__(self, events: AsyncGenerator[bytes, None]) -> None:
        super().__init__(events, media_type=EVENT_STREAM)
        self.headers["X-Accel-Buffering"] = "no"  # nginx would keep events back
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        async with aclosing(self._events):
            await super().__call__(scope, receive, send)
