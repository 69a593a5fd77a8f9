"""TLS contexts and what is checked after a handshake.

TLS 1.3 only, mutual, without session tickets. The standard library cannot name
the cipher suites of TLS 1.3, so both sides look after the handshake, before any
application byte is believed, and accept AES-256-GCM alone.
"""

from __future__ import annotations

import ssl
from functools import lru_cache
from pathlib import Path
from typing import Final

import trio

from p2pacs.errors import AuthenticationError
from p2pacs.identity import certificates
from p2pacs.identity.directory import Remote
from p2pacs.identity.node import CERTIFICATE, KEY, NodeIdentity

ALPN: Final = "p2pacs/1"
"""Application protocol of member-to-member channels (RFC 7301)."""

ALPN_ENROL: Final = "p2pacs-enrol/1"
"""Application protocol of an enrolment: the only one allowed without a client certificate."""

KEPT_CONTEXTS: Final = 8
"""Making one takes as long as a handshake, so those of the certificates in use are kept."""

CIPHER: Final = "TLS_AES_256_GCM_SHA384"

Stream = trio.SSLStream[trio.SocketStream]


def _context(side: int, authority: bytes | None, *protocols: str) -> ssl.SSLContext:
    context = ssl.SSLContext(side)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_STRICT
    context.set_alpn_protocols(protocols)
    if authority is not None:
        context.load_verify_locations(cadata=authority)  # nothing else is trusted
    return context


_FileStats = tuple[tuple[int, int, int], ...]


def _state_of(folder: Path) -> _FileStats:
    """What is different after a certificate was renewed."""
    stats = [(folder / name).stat() for name in (CERTIFICATE, KEY)]
    return tuple((one.st_ino, one.st_mtime_ns, one.st_size) for one in stats)


@lru_cache(maxsize=KEPT_CONTEXTS)
def _server_context(
    authority: bytes, folder: Path, _state: _FileStats, *, enrolment: bool
) -> ssl.SSLContext:
    protocols = (ALPN, ALPN_ENROL) if enrolment else (ALPN,)
    context = _context(ssl.PROTOCOL_TLS_SERVER, authority, *protocols)
    context.verify_mode = ssl.CERT_OPTIONAL if enrolment else ssl.CERT_REQUIRED
    context.num_tickets = 0  # every handshake proves the client's key anew
    context.load_cert_chain(folder / CERTIFICATE, folder / KEY)
    return context


@lru_cache(maxsize=KEPT_CONTEXTS)
def _client_context(authority: bytes, folder: Path, _state: _FileStats) -> ssl.SSLContext:
    context = _context(ssl.PROTOCOL_TLS_CLIENT, authority, ALPN)
    context.load_cert_chain(folder / CERTIFICATE, folder / KEY)
    return context


def server_context(identity: NodeIdentity, *, enrolment: bool = False) -> ssl.SSLContext:
    """The context of a listener.

    Args:
        identity: whose certificate is shown.
        enrolment: whether a client may come without a certificate to enrol (the broker's).
    """
    folder = identity.folder
    return _server_context(identity.authority, folder, _state_of(folder), enrolment=enrolment)


def client_context(identity: NodeIdentity) -> ssl.SSLContext:
    """The context of a dialler; it passes ``server_hostname=str(virtual address)``."""
    return _client_context(identity.authority, identity.folder, _state_of(identity.folder))


def enrolment_client_context(authority: bytes | None) -> ssl.SSLContext:
    """The context of somebody who has only a token yet.

    Args:
        authority: the authority's certificate (DER), once its hash was found to be the one
            in the token. None trusts whoever answers: good for asking for that certificate
            and for nothing else.
    """
    context = _context(ssl.PROTOCOL_TLS_CLIENT, authority, ALPN_ENROL)
    if authority is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def protocol_of(stream: Stream) -> str:
    """The application protocol of a finished handshake, once its cipher is found to be ours.

    Raises:
        AuthenticationError: another cipher, or no common application protocol.
    """
    cipher = stream.cipher()
    if cipher is None or cipher[0] != CIPHER:
        name = cipher[0] if cipher else "none"
        raise AuthenticationError(f"the channel's cipher is {name}; only {CIPHER} is allowed")
    protocol = stream.selected_alpn_protocol()
    if protocol not in (ALPN, ALPN_ENROL):
        raise AuthenticationError(f"the channel does not speak {ALPN}; is it a member's program?")
    return str(protocol)


def verify_channel(stream: Stream) -> Remote:
    """Who is at the other end of a finished handshake between members.

    TLS has verified the certificate's chain and dates; `Directory.check` says whether it is
    still a member's.

    Raises:
        AuthenticationError: another cipher or protocol, or no member's certificate.
    """
    if protocol_of(stream) != ALPN:
        raise AuthenticationError("an enrolment's channel is not a member's")
    certificate = stream.getpeercert(binary_form=True)
    if certificate is None:
        raise AuthenticationError("the channel came without a certificate; join the network first")
    address, key_hash = certificates.owner_of(certificate)
    return Remote(address, key_hash)
