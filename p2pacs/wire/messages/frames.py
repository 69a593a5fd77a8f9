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

    __slots__ = ("_held", "_needed", "_parts", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._parts: list[bytes | memoryview] = []
        self._held = 0
        self._needed = _HEAD

    def feed(self, data: bytes) -> Iterator[memoryview]:
        """Take received bytes; yield every payload that is now whole.

        The caller exhausts the iterator (what it leaves is lost), and may change `limit`
        between two payloads.
        Bytes are joined only when they complete a payload (or a length), so that however they
        are cut, each is copied twice at most.

        Raises:
            MessageTooLongError: a length above `limit`; the reader is of no use after it.
        """
        self._parts.append(data)
        self._held += len(data)
        if self._held < self._needed:
            return
        view = memoryview(data if len(self._parts) == 1 else b"".join(self._parts))
        start, total = 0, len(view)
        self._parts, self._held, self._needed = [], 0, _HEAD
        while total - start >= _HEAD:
            size = int.from_bytes(view[start : start + _HEAD], "big")
            if size > self.limit:
                raise MessageTooLongError(
                    f"a message of {size} bytes is announced; at most {self.limit} are allowed"
                )
            end = start + _HEAD + size
            if end > total:
                self._needed = _HEAD + size
                break
            yield view[start + _HEAD : end]
            start = end
        if start < total:
            self._parts, self._held = [view[start:]], total - start
