"""Frames on a byte stream: a length (4 bytes, big-endian), then that many bytes of payload."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from p2pacs.errors import MessageTooLongError

_HEAD: Final = 4


class FrameReader:
    """Cuts received bytes into payloads.

    What is held is what arrived, never what a length claims.

    Attributes:
        limit: bytes that the next payload may have.
    """

    __slots__ = ("_buffer", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take received bytes; yield every payload that is now whole.

        The caller exhausts the iterator, and may change `limit` between two payloads.

        Raises:
            MessageTooLongError: a length above `limit`; the reader is of no use after it.
        """
        buffer = self._buffer
        buffer += data
        while len(buffer) >= _HEAD:
            size = int.from_bytes(buffer[:_HEAD], "big")
            if size > self.limit:
                raise MessageTooLongError(
                    f"a message of {size} bytes is announced; at most {self.limit} are allowed"
                )
            end = _HEAD + size
            if len(buffer) < end:
                return
            with memoryview(buffer) as view:  # one copy instead of two
                payload = bytes(view[_HEAD:end])
            del buffer[:end]
            yield payload
