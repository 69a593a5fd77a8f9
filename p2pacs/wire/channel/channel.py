"""Channels between members: mutual TLS 1.3 over TCP, checked before a byte is believed."""

from __future__ import annotations

import ssl
from contextlib import suppress

import structlog
import trio
from attrs import frozen

from p2pacs import limits
from p2pacs.admission import source_of
from p2pacs.errors import AuthenticationError, DeadlineError, LinkClosedError, P2PacsError
from p2pacs.identity import tls
from p2pacs.identity.directory import Remote
from p2pacs.identity.node import NodeIdentity
from p2pacs.ids import VirtualAddress
from p2pacs.process.sparse_log import Sparse
from p2pacs.units import Endpoint
from p2pacs.wire.channel import deadlines
from p2pacs.wire.channel.broken import explain
from p2pacs.wire.messages.codec import encode
from p2pacs.wire.messages.messages import QueryFailure

log = structlog.get_logger(__name__)


@frozen
class Accepted:
    """A channel that somebody opened to us."""

    stream: tls.Stream
    remote: Remote | None
    """Who it is; None for somebody without a certificate, who may only enrol."""
    network_address: str
    """Where it came from: an IP address."""


async def open_tcp(endpoint: Endpoint, *, source: str | None = None) -> trio.SocketStream:
    """Open a TCP connection (with TCP_NODELAY, as trio does) within `deadlines.CONNECT`.

    Args:
        endpoint: where to.
        source: the local address to come from; None for any.

    Raises:
        LinkClosedError: refused or unreachable.
        DeadlineError: no answer in time.
    """
    try:
        with trio.fail_after(deadlines.CONNECT):
            return await trio.open_tcp_stream(endpoint.host, endpoint.port, local_address=source)
    except trio.TooSlowError as error:
        raise DeadlineError(f"{endpoint} did not answer") from error
    except OSError as error:
        raise LinkClosedError(f"cannot connect to {endpoint}: refused or unreachable") from error


async def handshake(
    tcp: trio.SocketStream,
    context: ssl.SSLContext,
    *,
    who: str,
    server_hostname: str | None = None,
    within: float = deadlines.HANDSHAKE,
) -> tls.Stream:
    """Finish a TLS handshake; on failure the connection is closed.

    Args:
        tcp: the connection.
        context: of the side that we are.
        who: the other end, for error messages.
        server_hostname: the dialler's: the name that the server's certificate must carry.
        within: seconds that all of it may take.

    Raises:
        AuthenticationError: no TLS, or a certificate that is refused.
        LinkClosedError: the connection broke.
        DeadlineError: not finished in time.
    """
    server_side = context.protocol is ssl.PROTOCOL_TLS_SERVER
    stream = trio.SSLStream(tcp, context, server_hostname=server_hostname, server_side=server_side)
    try:
        with trio.fail_after(within):
            await stream.do_handshake()
    except trio.TooSlowError as error:
        raise DeadlineError(f"{who} did not finish the TLS handshake") from error
    except trio.BrokenResourceError as error:
        raise explain(error, who) from error
    finally:
        if not _finished(stream):
            await trio.aclose_forcefully(stream)
    return stream


def _finished(stream: tls.Stream) -> bool:
    try:
        return stream.cipher() is not None
    except trio.NeedHandshakeError:
        return False


async def connect(
    endpoint: Endpoint,
    identity: NodeIdentity,
    expected: VirtualAddress,
    *,
    source: str | None = None,
    within: float = deadlines.HANDSHAKE,
) -> tuple[tls.Stream, Remote]:
    """Open a channel to a member.

    Args:
        endpoint: where it may be reached.
        identity: ours.
        expected: whom we want: its certificate must carry this virtual address.
        source: the local address to come from; None for any.
        within: seconds for the handshake.

    Returns:
        The channel, and who is at its other end; `Directory.check` has the last word.

    Raises:
        AuthenticationError: somebody else answers, or not with our kind of TLS.
        LinkClosedError: refused, unreachable or broken.
        DeadlineError: no answer in time.
    """
    tcp = await open_tcp(endpoint, source=source)
    return await secure(tcp, endpoint, identity, expected, within=within)


async def secure(
    tcp: trio.SocketStream,
    endpoint: Endpoint,
    identity: NodeIdentity,
    expected: VirtualAddress,
    *,
    within: float = deadlines.HANDSHAKE,
) -> tuple[tls.Stream, Remote]:
    """Make a channel of a connection that was opened to a member; as `connect`.

    Args:
        tcp: the connection.
        endpoint: where to, for errors.
        identity: ours.
        expected: as `connect`'s.
        within: seconds for the handshake.

    Raises:
        P2PacsError: as `connect`.
    """
    context = tls.client_context(identity)
    stream = await handshake(
        tcp, context, who=str(endpoint), server_hostname=str(expected), within=within
    )
    try:
        return stream, _expected(tls.verify_channel(stream), expected)
    except AuthenticationError:
        await trio.aclose_forcefully(stream)
        raise


def _expected(remote: Remote, expected: VirtualAddress) -> Remote:
    # TLS has looked for this name already; a certificate with a second one is not ours
    if remote.address != expected:
        raise AuthenticationError(f"{remote.address} answers, not {expected}")
    return remote


async def accept(
    tcp: trio.SocketStream,
    context: ssl.SSLContext,
    *,
    within: float = deadlines.HANDSHAKE,
    told: Sparse | None = None,
) -> Accepted:
    """Finish the handshake of a connection that came in; a refusal is logged and closes it.

    Args:
        tcp: what a listener gave.
        context: from `tls.server_context`; whether one may come to enrol is written there.
        within: seconds that all of it may take.
        told: what was logged lately, so that the same stranger is not logged each time.

    Raises:
        AuthenticationError: no TLS 1.3, another cipher, no or a wrong certificate.
        LinkClosedError: the connection broke.
        DeadlineError: not finished in time.
    """
    network_address = network_address_of(tcp)
    try:
        stream = await handshake(tcp, context, who=network_address, within=within)
        try:
            return Accepted(stream, _who(stream), network_address)
        except AuthenticationError:
            await trio.aclose_forcefully(stream)
            raise
    except P2PacsError as error:
        sparse = Sparse() if told is None else told  # an empty one is false
        sparse.warn(
            log,
            "channel refused",
            (source_of(network_address), type(error).__name__),
            trio.current_time(),
            network_address=network_address,
            why=str(error),
        )
        raise


async def refuse(stream: trio.abc.Stream, error: P2PacsError) -> None:
    """Say why to somebody who authenticated but is not let in, and close.

    Our last word is followed by the end of the stream; what the other side has said
    meanwhile is read and thrown away, since closing a socket with unread bytes would
    reset the connection and the last word might be lost with it.

    Args:
        stream: after its handshake; nothing was sent on it yet.
        error: why; its text must not help a stranger more than a member.
    """
    farewell = encode(QueryFailure(0, error.wire_code, str(error)[: limits.TEXT]))
    with trio.move_on_after(deadlines.FAREWELL), suppress(trio.BrokenResourceError):
        await stream.send_all(farewell)
        while await stream.receive_some():
            pass
    await trio.aclose_forcefully(stream)


def _who(stream: tls.Stream) -> Remote | None:
    if tls.protocol_of(stream) == tls.ALPN_ENROL:
        return None
    return tls.verify_channel(stream)


def socket_of(stream: tls.Stream) -> trio.socket.SocketType:
    """The socket under a channel, to set its buffers and to ask it what was sent."""
    tcp: trio.SocketStream = stream.transport_stream
    return tcp.socket


def network_address_of(tcp: trio.SocketStream) -> str:
    """Where a connection came from: an IP address; ``unknown`` if it has gone already."""
    try:
        name: tuple[str, int] = tcp.socket.getpeername()
    except OSError:
        return "unknown"
    return name[0]
