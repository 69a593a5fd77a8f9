"""A channel that gives all it has decrypted at once.

`trio.SSLStream.receive_some` gives one TLS record (16 KiB) a call, each a turn of the
scheduler: at 100 MB/s those turns cost more than the decryption. Here the records that
came with the same read of the socket are taken together.
"""

from __future__ import annotations

import ssl
from typing import Final

import trio

from p2pacs.identity.tls import Stream
from p2pacs.limits import KIB

RECORD_BYTES: Final = 16 * KIB
"""Plaintext of a TLS record at most (RFC 8446 5.1)."""

BATCH_BYTES: Final = 256 * KIB
"""Taken at once at most, so that no turn of the scheduler gets long."""


class BulkStream(trio.abc.Stream):
    """An `SSLStream` for large transfers; behaves like it otherwise."""

    def __init__(self, inner: Stream) -> None:
        self.inner = inner

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """Wait for a record, and take those behind it that are here already."""
        records = [await self.inner.receive_some(max_bytes)]
        if max_bytes is not None:
            return records[0]
        size = len(records[0])
        # trio offers no public way to take what is there without a turn; a test watches this one
        tls = self.inner._ssl_object
        while 0 < size < BATCH_BYTES and records[-1]:
            try:
                records.append(tls.read(RECORD_BYTES))
            except ssl.SSLError:  # no whole record is there, or an error that the next call meets
                break
            size += len(records[-1])
        return b"".join(records)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Write all."""
        await self.inner.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        """As the channel says."""
        await self.inner.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        """Close the channel."""
        await self.inner.aclose()
