"""Streams to which can be written without a turn of the scheduler."""

from __future__ import annotations

from abc import abstractmethod

import trio


class PromptStream(trio.abc.Stream):
    """A stream that may take bytes at once: on a slow line nearly always all of them."""

    @property
    @abstractmethod
    def prompt(self) -> bool:
        """Whether this one does; if not, there is `send_all` alone."""

    @abstractmethod
    def write(self, data: bytes, *, more: bool = False) -> bool:
        """Write at once; whether all left. If not, `flush` comes before anything else.

        Args:
            data: What.
            more: Something follows soon: what does not fill a segment may wait for it.

        Raises:
            BrokenResourceError: The stream broke.
            ClosedResourceError: It was closed.
        """

    @abstractmethod
    async def flush(self) -> None:
        """Write the rest.

        Raises:
            BrokenResourceError: The stream broke.
            ClosedResourceError: It was closed.
        """
