"""How a newcomer becomes a member: token in, identity out.

The secret of a token is sent only to the network that the token pins:
1. The newcomer dials, trusts nobody, and takes the authority's certificate that the
   broker sends first. Its SHA-256 must be the one in the token.
2. It dials again and trusts that authority alone: TLS verifies chain, dates and the
   broker's virtual address. Only now does it send secret and certificate request.
"""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, TypeVar

import structlog
import trio

from p2pacs import limits
from p2pacs.errors import (
    AuthenticationError,
    DeadlineError,
    LinkClosedError,
    P2PacsError,
    ProtocolError,
    UnavailableError,
)
from p2pacs.files.private_files import write_private
from p2pacs.identity import book, certificates, tls
from p2pacs.identity.directory import Remote, load_directory
from p2pacs.identity.keys import VerifyKey
from p2pacs.identity.node import NodeIdentity, make_request, read_box_key
from p2pacs.identity.token import Token
from p2pacs.process.sparse_log import Sparse
from p2pacs.units import Endpoint
from p2pacs.wire.channel import deadlines
from p2pacs.wire.channel.broken import explain
from p2pacs.wire.channel.channel import handshake, open_tcp
from p2pacs.wire.messages.codec import decode, encode
from p2pacs.wire.messages.failures import failure, from_wire
from p2pacs.wire.messages.frames import FrameReader
from p2pacs.wire.messages.messages import (
    AuthorityCertificate,
    Enrolled,
    EnrolQuery,
    Message,
    QueryFailure,
)

log = structlog.get_logger(__name__)

EnrolHandler = Callable[[EnrolQuery], Awaitable[Enrolled]]

_ID: Final = 1
_M = TypeVar("_M", bound=Message)


class _Exchange:
    """Single messages on an enrolment's stream."""

    def __init__(self, stream: trio.abc.Stream, limit: int) -> None:
        self._stream = stream
        self._frames = FrameReader(limit)
        self._received: list[memoryview] = []

    async def send(self, message: Message) -> None:
        await self._stream.send_all(encode(message))

    async def receive(self, kind: type[_M]) -> _M | None:
        """The next message; None if the other side closes instead."""
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
        message = await self.receive(kind)
        if message is None:
            raise LinkClosedError("the broker closed the channel; try again")
        return message


# ---------------------------------------------------------------- the newcomer


async def enrol(
    token: Token, folder: Path, endpoints: Sequence[str], *, within: float = deadlines.ENROL
) -> Enrolled:
    """Join the network and write the identity folder, the directory in it.

    The keys made in the folder stay for another try if this one fails.

    Args:
        token: from the administrator.
        folder: becomes the identity folder; `NodeIdentity.load` reads it.
        endpoints: HOST:PORT at which this member may be reached; none behind NAT.
        within: seconds for each exchange with the broker.

    Returns:
        What the broker answered, verified.

    Raises:
        AuthenticationError: it is not the broker that the token pins, or the token is spent.
        UnavailableError: no endpoint of the broker answers.
        StateError: the folder already belongs to a member.
    """
    query = EnrolQuery(
        id=_ID,
        secret=token.secret.reveal(),
        csr=make_request(folder),
        box_key=read_box_key(folder).public,
        endpoints=list(endpoints),
    )
    failure: UnavailableError = LinkClosedError("the token names no endpoint of the broker")
    for endpoint in map(Endpoint.parse, token.endpoints):
        try:
            authority = await _pinned_authority(endpoint, token, within)
            enrolled = await _ask(endpoint, token, authority, query, within)
        except UnavailableError as error:
            failure = error
        else:
            _keep(enrolled, token, folder)
            return enrolled
    raise failure


@asynccontextmanager
async def _channel(
    endpoint: Endpoint, context: ssl.SSLContext, token: Token, within: float
) -> AsyncIterator[_Exchange]:
    tcp = await open_tcp(endpoint)
    stream = await handshake(tcp, context, who=str(endpoint), server_hostname=str(token.broker))
    try:
        tls.protocol_of(stream)
        with trio.fail_after(within):
            yield _Exchange(stream, limits.FRAME_BYTES)
    except trio.TooSlowError as error:
        raise DeadlineError(f"the broker at {endpoint} does not answer") from error
    except trio.BrokenResourceError as error:
        raise explain(error, str(endpoint)) from error
    finally:
        with trio.move_on_after(deadlines.FAREWELL):
            await stream.aclose()


async def _pinned_authority(endpoint: Endpoint, token: Token, within: float) -> bytes:
    """The authority's certificate (DER), from whoever answers: its hash makes it true."""
    context = tls.enrolment_client_context(None)
    async with _channel(endpoint, context, token, within) as exchange:
        certificate = (await exchange.expect(AuthorityCertificate)).certificate
    if hashlib.sha256(certificate).digest() != token.authority_sha256:
        raise AuthenticationError(
            f"who answers at {endpoint} is not the network of this token; nothing was sent. "
            "Ask the administrator for a new token, and the network's administrator who listens"
        )
    return certificate


async def _ask(
    endpoint: Endpoint, token: Token, authority: bytes, query: EnrolQuery, within: float
) -> Enrolled:
    context = tls.enrolment_client_context(authority)
    async with _channel(endpoint, context, token, within) as exchange:
        await exchange.expect(AuthorityCertificate)
        await exchange.send(query)
        return await exchange.expect(Enrolled)


def _keep(enrolled: Enrolled, token: Token, folder: Path) -> None:
    if hashlib.sha256(enrolled.authority).digest() != token.authority_sha256:
        raise AuthenticationError("the broker answered with another authority than the token's")
    broker_key = VerifyKey(enrolled.broker_key)
    directory = load_directory(enrolled.directory, broker_key)
    address, key_hash = certificates.owner_of(enrolled.certificate)
    me = directory.check(Remote(address, key_hash))
    write_private(folder / book.FILE, enrolled.directory)
    NodeIdentity.create(
        folder,
        name=me.name,
        certificate=enrolled.certificate,
        authority=enrolled.authority,
        broker=token.broker,
        broker_key=broker_key,
    )


# ---------------------------------------------------------------- the broker


async def serve_enrolment(
    stream: trio.abc.Stream, authority: bytes, handler: EnrolHandler, told: Sparse | None = None
) -> None:
    """Serve one channel that came without a certificate, and close it.

    Args:
        stream: from `channel.accept` with no remote.
        authority: the authority's certificate (DER).
        handler: checks the secret, issues the certificate, enters the member; a `P2PacsError`
            is told to the newcomer.
        told: what was logged lately, so that the same is not logged each time.
    """
    told = Sparse() if told is None else told
    exchange = _Exchange(stream, limits.HANDSHAKE_FRAME_BYTES)
    try:
        with trio.move_on_after(deadlines.ENROL):
            await exchange.send(AuthorityCertificate(authority))
            await _serve(exchange, handler, told)
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        log.debug("enrolment broke off")
    finally:
        with trio.move_on_after(deadlines.FAREWELL, shield=True):
            await stream.aclose()


async def _serve(exchange: _Exchange, handler: EnrolHandler, told: Sparse) -> None:
    number = 0
    try:
        query = await exchange.receive(EnrolQuery)
        if query is None:
            return  # it came for the authority's certificate
        number = query.id
        # The token is used up when the handler is done: whoever else comes, its owner is told.
        with trio.move_on_after(deadlines.ENROL, shield=True):
            await exchange.send(await handler(query))
    except P2PacsError as error:
        now = trio.current_time()
        told.warn(log, "enrolment refused", type(error).__name__, now, why=str(error))
        await exchange.send(failure(number, error))
