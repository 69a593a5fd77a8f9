"""X.509 as far as the network needs it (RFC 5280): one authority, leaves that carry an address.

Keys are ECDSA on P-256: every TLS library and every browser knows them.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from p2pacs.errors import AuthenticationError, MalformedMessageError, StateError, UsageError
from p2pacs.identity.keys import Secret
from p2pacs.ids import VirtualAddress

BACKDATED: Final = timedelta(hours=1)
"""Certificates begin this long ago: clocks of hospitals differ."""

NAME_CHARACTERS: Final = 64
"""Of a common name (RFC 5280 ub-common-name)."""

Name = x509.DNSName | x509.IPAddress


def generate_key() -> Secret:
    """A new P-256 private key (PKCS #8, PEM)."""
    key = ec.generate_private_key(ec.SECP256R1())
    return Secret(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def load_key(pem: Secret, what: str) -> ec.EllipticCurvePrivateKey:
    """The P-256 private key in this PEM text.

    Raises:
        StateError: it is none.
    """
    try:
        key = load_pem_private_key(pem.reveal(), password=None)
    except (TypeError, ValueError) as error:
        raise StateError(f"{what} is damaged; restore it from a backup") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise StateError(f"{what} is not an ECDSA key; restore it from a backup")
    return key


def spki_hash(public: ec.EllipticCurvePublicKey) -> bytes:
    """SHA-256 of the SubjectPublicKeyInfo: the name of a key."""
    return hashlib.sha256(
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    ).digest()


def _named(name: str) -> x509.Name:
    if not 0 < len(name) <= NAME_CHARACTERS or not name.isprintable() or name != name.strip():
        raise UsageError(f"a name has 1 to {NAME_CHARACTERS} printable characters")
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def request(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A certificate request (PKCS #10, DER): proves possession of the key, names nobody."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def requested_key(csr: bytes) -> ec.EllipticCurvePublicKey:
    """The public key of a request whose sender has proved to own it.

    Raises:
        MalformedMessageError: broken, not for a P-256 key, or not signed with that key.
    """
    try:
        parsed = x509.load_der_x509_csr(csr)
        public = parsed.public_key()
        valid = parsed.is_signature_valid
    except (ValueError, TypeError, InvalidSignature) as error:
        raise MalformedMessageError("not a certificate request (PKCS #10, DER)") from error
    if not isinstance(public, ec.EllipticCurvePublicKey) or public.curve.name != "secp256r1":
        raise MalformedMessageError("the certificate request is not for an ECDSA key on P-256")
    if not valid:
        raise MalformedMessageError("the certificate request is not signed with its own key")
    return public


def requested_key_hash(csr: bytes) -> bytes:
    """`spki_hash` of the key of a request: what the directory keeps of a member.

    Raises:
        MalformedMessageError: as `requested_key`.
    """
    return spki_hash(requested_key(csr))


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _begin(
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey,
    signer: ec.EllipticCurvePublicKey,
    lifetime: timedelta,
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + lifetime)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer), critical=False)
    )


def self_signed(key: ec.EllipticCurvePrivateKey, name: str, lifetime: timedelta) -> bytes:
    """The certificate (DER) of a new authority."""
    public = key.public_key()
    return (
        _begin(_named(name), _named(name), public, public, lifetime)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(authority=True), critical=True)
        .sign(key, hashes.SHA256())
        .public_bytes(Encoding.DER)
    )


def site_certificate(
    key: ec.EllipticCurvePrivateKey, name: str, hosts: Sequence[str], lifetime: timedelta
) -> bytes:
    """A certificate (DER) of no authority, for a service of a site at these hosts: who talks with
    it is told to trust this very one.

    Raises:
        UsageError: a host in fd00::/8, which would be a member's address.
    """
    public = key.public_key()
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    return (
        _begin(_named(name), _named(name), public, public, lifetime)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(x509.SubjectAlternativeName([_host(host) for host in hosts]), critical=False)
        .sign(key, hashes.SHA256())
        .public_bytes(Encoding.DER)
    )


def _leaf(
    signer: ec.EllipticCurvePrivateKey,
    authority: bytes,
    csr: bytes,
    *,
    name: str,
    names: Sequence[Name],
    usages: Sequence[ObjectIdentifier],
    lifetime: timedelta,
) -> bytes:
    issuer = x509.load_der_x509_certificate(authority).subject
    return (
        _begin(_named(name), issuer, requested_key(csr), signer.public_key(), lifetime)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(signer, hashes.SHA256())
        .public_bytes(Encoding.DER)
    )


def member_certificate(
    signer: ec.EllipticCurvePrivateKey,
    authority: bytes,
    csr: bytes,
    *,
    address: VirtualAddress,
    name: str,
    lifetime: timedelta,
) -> bytes:
    """A member's certificate (DER): its virtual address is its only alternative name."""
    names = [x509.IPAddress(ipaddress.IPv6Address(bytes(address)))]
    usages = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
    return _leaf(signer, authority, csr, name=name, names=names, usages=usages, lifetime=lifetime)


def web_certificate(
    signer: ec.EllipticCurvePrivateKey,
    authority: bytes,
    csr: bytes,
    *,
    hosts: Sequence[str],
    lifetime: timedelta,
) -> bytes:
    """A certificate (DER) for a web page at these host names or addresses.

    It is of no use on a channel between members: it may not authenticate a client.

    Raises:
        UsageError: no host, or one in fd00::/8, which would be a member's address.
    """
    names = [_host(host) for host in hosts]
    if not names:
        raise UsageError("a web certificate needs at least one host name")
    usages = [ExtendedKeyUsageOID.SERVER_AUTH]
    return _leaf(
        signer,
        authority,
        csr,
        name=hosts[0][:NAME_CHARACTERS],
        names=names,
        usages=usages,
        lifetime=lifetime,
    )


def is_virtual(host: str) -> bool:
    """Whether this is an address out of fd00::/8, where members' virtual addresses lie."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.version == 6 and address.packed[0] == 0xFD


def _host(host: str) -> Name:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return x509.DNSName(host)
    if is_virtual(host):
        raise UsageError(f"{host} lies in fd00::/8, where members live; name another address")
    return x509.IPAddress(address)


def load_certificate(der: bytes) -> x509.Certificate:
    """The certificate in these bytes.

    Raises:
        AuthenticationError: they hold none.
    """
    try:
        return x509.load_der_x509_certificate(der)
    except ValueError as error:
        raise AuthenticationError("not a certificate (X.509, DER)") from error


def owner_of(der: bytes) -> tuple[VirtualAddress, bytes]:
    """Whose certificate this is: virtual address and `spki_hash`. Trust is TLS's business.

    Raises:
        AuthenticationError: not a member's certificate.
    """
    certificate = load_certificate(der)
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        public = certificate.public_key()
        [address] = names
        owner = VirtualAddress(address.value.packed)
    except (x509.ExtensionNotFound, ValueError, AttributeError, UsageError) as error:
        raise AuthenticationError("the certificate does not carry one virtual address") from error
    if not isinstance(public, ec.EllipticCurvePublicKey):
        raise AuthenticationError("the certificate's key is not an ECDSA key")
    return owner, spki_hash(public)


def check_issued(der: bytes, authority: bytes, key_hash: bytes) -> VirtualAddress:
    """The address in a new certificate of ours, once it is what we asked for.

    Raises:
        AuthenticationError: signed by another authority, or for another key.
    """
    address, owner = owner_of(der)
    if owner != key_hash:
        raise AuthenticationError("the certificate is for another key than this member's")
    try:
        load_certificate(der).verify_directly_issued_by(load_certificate(authority))
    except (InvalidSignature, TypeError, ValueError) as error:
        raise AuthenticationError("the certificate is not by this network's authority") from error
    return address


def to_pem(*certificates: bytes) -> bytes:
    """Certificates (DER) as PEM text, in this order."""
    return b"".join(load_certificate(der).public_bytes(Encoding.PEM) for der in certificates)


def from_pem(text: bytes, what: str) -> bytes:
    """The first certificate of a PEM text, as DER.

    Raises:
        StateError: there is none.
    """
    try:
        return x509.load_pem_x509_certificate(text).public_bytes(Encoding.DER)
    except ValueError as error:
        raise StateError(f"{what} is damaged; restore it from a backup") from error
