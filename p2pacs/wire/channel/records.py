"""Where TLS records end in a stream that is not opened yet (RFC 8446 5.2)."""

from __future__ import annotations

from typing import Final

HEAD_BYTES: Final = 5
"""Type (1), version (2) and length (2) of a record."""


class RecordEnds:
    """Follows a stream from record to record by their heads; holds no more than one head."""

    __slots__ = ("_head", "_missing")

    def __init__(self) -> None:
        self._missing = 0  # bytes of the record that has begun, if its head was seen
        self._head = b""

    def feed(self, data: bytes) -> bool:
        """Take the next bytes; whether a record ended in them.

        A length that no record may have is followed like any other: TLS refuses it.
        """
        at = self._missing
        if self._head:
            at, data = 0, self._head + data
        size = len(data)
        ended = 0 < at <= size
        while at + HEAD_BYTES <= size:
            at += HEAD_BYTES + int.from_bytes(data[at + 3 : at + HEAD_BYTES], "big")
            ended = ended or at <= size
        self._head = data[at:]
        self._missing = max(0, at - size)
        return ended
