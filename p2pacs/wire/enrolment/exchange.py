"""Single messages on an enrolment's stream."""

from __future__ import annotations

from typing import TypeVar

import trio

from p2pacs.errors import (
    LinkClosedError,
    ProtocolError,
)
from p2pacs.wire.messages.codec import decode, encode
from p2pacs.wire.messages.failures import from_wire
from p2pacs.wire.messages.frames import FrameReader
from p2pacs.wire.messages.messages import (
    Message,
    QueryFailure,
)

_M = TypeVar("_M", bound=Message)


class Exchange:
    """One end of it."""

    def __init__(self, stream: trio.abc.Stream, limit: int) -> None:
        self._stream = stream
        self._frames = FrameReader(limit)
        self._received: list[memoryview] = []

    async def send(self, message: Message) -> None:
        """Send one.

        Raises:
            BrokenResourceError: the stream broke.
        """
        await self._stream.send_all(encode(message))

    async def receive(self, kind: type[_M]) -> _M | None:
        """The next message; None if the other side closes instead.

        Raises:
            P2PacsError: what the other side failed with.
            ProtocolError: another kind of message, or none at all.
        """
        while not self._received:
            data = await self._stream.receive_some()
            if not data:
                return None
            self._received += self._frames.feed(bytes(data))
        message = decode(self._received.pop(0))
        if isinstance(message, QueryFailure):
            raise from_wire(message.code, message.text)
        if not isinstance(message, kind):
            raise ProtocolError(f"{type(message).__name__} is not allowed in an enrolment here")
        return message

    async def expect(self, kind: type[_M]) -> _M:
        """The next message of the broker.

        Raises:
            LinkClosedError: it closes instead.
            P2PacsError: as `receive`.
        """
        message = await self.receive(kind)
        if message is None:
            raise LinkClosedError("the broker closed the channel; try again")
        return message
