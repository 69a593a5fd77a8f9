"""The data of a TLS channel after its handshake, with as little work as can be.

`trio.SSLStream` gives one TLS record (16 KiB) a call, and takes locks and turns of the scheduler
for each: at 100 MB/s they cost more than the decryption, and on a slow line, where a member
sleeps between two records, more than everything else. Here the records that came with the same
read of the socket are taken together, and nothing is waited for but the transport.
"""

from __future__ import annotations

import ssl
from typing import Final, Protocol, cast

import trio

from p2pacs.identity.tls import Stream
from p2pacs.limits import KIB
from p2pacs.wire.channel.prompt import PromptStream

RECORD_BYTES: Final = 16 * KIB
"""Plaintext of a TLS record at most (RFC 8446 5.1)."""

BATCH_BYTES: Final = 256 * KIB
"""Taken at once at most, so that no turn of the scheduler gets long."""


class TransportWriter(Protocol):
    """A transport that takes what it can at once."""

    def write(self, data: bytes, *, more: bool = False) -> int:
        """Write at once; how many bytes left. ``more`` as `PromptStream.write`."""


class BulkStream(PromptStream):
    """A finished handshake's `SSLStream`, whose data go past it; one task sends, one receives.

    It is closed like any other.
    """

    def __init__(self, inner: Stream) -> None:
        """A channel whose handshake is over.

        Args:
            inner: The channel; nothing but closing is asked of it from now on.
        """
        self.inner = inner
        # trio offers no public way to the TLS state below its stream; a test watches this one
        self._tls = inner._ssl_object
        self._incoming = inner._incoming
        self._outgoing = inner._outgoing
        transport = inner.transport_stream
        self._writer = cast("TransportWriter", transport) if hasattr(transport, "write") else None
        self._rest = b""
        self._more = True  # the handshake may have left some

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """Wait for a record, and take those behind it that are here already."""
        most = BATCH_BYTES if max_bytes is None else max_bytes
        if self._more and (data := self._open(most)) is not None:
            await trio.lowlevel.checkpoint()
            return data
        while True:
            sealed = await self.inner.transport_stream.receive_some()
            if sealed:
                self._incoming.write(sealed)
            else:
                self._incoming.write_eof()
            if (data := self._open(most)) is not None:
                return data

    def _open(self, most: int) -> bytes | None:
        """The data of the whole records that are here; None if there is none.

        Raises:
            BrokenResourceError: one does not open, or the end came before TLS said so.
        """
        tls, incoming = self._tls, self._incoming
        records: list[bytes] = []
        size = 0
        try:
            while size < most:
                records.append(record := tls.read(min(RECORD_BYTES, most - size)))
                size += len(record)
                self._more = bool(record) and bool(incoming.pending or tls.pending())
                if not self._more:
                    break
        except ssl.SSLWantReadError:
            self._more = False
        except ssl.SSLError as error:
            if not records:  # else the next call meets it again
                raise trio.BrokenResourceError from error
        if not records:
            return None
        return records[0] if len(records) == 1 else b"".join(records)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Write all."""
        if not data:  # TLS would take it for the end
            await trio.lowlevel.checkpoint()
            return
        await self.inner.transport_stream.send_all(self._seal(data))

    def _seal(self, data: bytes | bytearray | memoryview) -> bytes:
        try:
            self._tls.write(data)
        except ssl.SSLError as error:
            raise trio.BrokenResourceError from error
        return self._outgoing.read()

    @property
    def prompt(self) -> bool:
        """Whether the transport takes bytes at once."""
        return self._writer is not None

    def write(self, data: bytes, *, more: bool = False) -> bool:
        """Write at once; whether all left."""
        sealed = self._seal(data)
        sent = self._writer.write(sealed, more=more) if self._writer is not None else 0
        self._rest = sealed[sent:]
        return not self._rest

    async def flush(self) -> None:
        """Write the rest."""
        await self.inner.transport_stream.send_all(self._rest)
        self._rest = b""

    async def wait_send_all_might_not_block(self) -> None:
        """As the channel says."""
        await self.inner.transport_stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        """Close the channel."""
        await self.inner.aclose()
