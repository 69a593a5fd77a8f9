"""What leaves on one link: its stream, and whether that is torn in the middle of a record."""

from __future__ import annotations

import trio

from p2pacs.wire.channel import deadlines
from p2pacs.wire.channel.prompt import PromptStream


class LinkWriter:
    """Writes to the stream of a link.

    After a write that was cancelled or has failed the stream is torn: it is only ever dropped.
    Both ways of writing raise `trio.BrokenResourceError` and `trio.ClosedResourceError`.
    """

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.bytes_sent = 0
        self.torn = False
        self.unsent = False
        """Whether a part of what was written at once waits here."""
        self._stream = stream
        self._prompt = stream if isinstance(stream, PromptStream) and stream.prompt else None

    def write_now(self, frame: bytes, *, more: bool) -> bool:
        """Past the sending task, which sleeps: on a slow line it would wake for each block.

        Args:
            frame: what.
            more: something follows soon.

        Returns:
            Whether this stream can be written to so.
        """
        if self._prompt is None:
            return False
        whole = self._prompt.write(frame, more=more)
        self.bytes_sent += len(frame)
        self.unsent = not whole
        return True

    async def write(self, batch: bytes) -> None:
        """What waits here, and then a batch, which may be empty."""
        self.torn = True
        if self.unsent and self._prompt is not None:
            await self._prompt.flush()
            self.unsent = False
        if batch:
            await self._stream.send_all(batch)
        self.torn = False
        self.bytes_sent += len(batch)

    async def close(self) -> None:
        """Close the stream: with a farewell, if the other side would understand it."""
        if self.torn or self.unsent:
            await trio.aclose_forcefully(self._stream)
            return
        with trio.move_on_after(deadlines.FAREWELL, shield=True):
            await self._stream.aclose()
