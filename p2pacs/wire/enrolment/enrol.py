"""The newcomer's side: token in, identity out.

The secret of a token is sent only to the network that the token pins:
1. The newcomer dials, trusts nobody, and takes the authority's certificate that the
   broker sends first. Its SHA-256 must be the one in the token.
2. It dials again and trusts that authority alone: TLS verifies chain, dates and the
   broker's virtual address. Only now does it send secret and certificate request.
"""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import trio

from p2pacs import limits
from p2pacs.errors import (
    AuthenticationError,
    DeadlineError,
    LinkClosedError,
    UnavailableError,
)
from p2pacs.files.private_files import write_private
from p2pacs.identity import book, certificates, tls
from p2pacs.identity.directory import Remote, load_directory
from p2pacs.identity.keys import VerifyKey
from p2pacs.identity.node import NodeIdentity, make_request, read_box_key
from p2pacs.identity.token import Token
from p2pacs.units import Endpoint
from p2pacs.wire.channel import deadlines
from p2pacs.wire.channel.broken import explain
from p2pacs.wire.channel.channel import handshake, open_tcp
from p2pacs.wire.enrolment.exchange import Exchange
from p2pacs.wire.messages.messages import (
    AuthorityCertificate,
    Enrolled,
    EnrolQuery,
)

_ID: Final = 1


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
) -> AsyncIterator[Exchange]:
    tcp = await open_tcp(endpoint)
    stream = await handshake(tcp, context, who=str(endpoint), server_hostname=str(token.broker))
    try:
        tls.protocol_of(stream)
        with trio.fail_after(within):
            yield Exchange(stream, limits.FRAME_BYTES)
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
