from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from p2pacs.errors import AuthenticationError, MalformedMessageError, StateError, UsageError
from p2pacs.identity import certificates
from p2pacs.identity.keys import Secret
from p2pacs.identity.node import make_request
from tests.p2pacs.identity.network import Network


def csr_of(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    digest = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return builder.sign(key, digest).public_bytes(Encoding.DER)


def test_a_members_certificate(network: Network) -> None:
    csr = make_request(network.folder / "a")
    address = network.authority.new_address()
    issued = network.authority.issue(csr, address, "Hospital A")
    assert certificates.owner_of(issued) == (address, certificates.requested_key_hash(csr))
    parsed = x509.load_der_x509_certificate(issued)
    assert parsed.subject.rfc4514_string() == "CN=Hospital A"
    now = datetime.now(UTC)
    assert parsed.not_valid_before_utc < now - timedelta(minutes=50)
    assert timedelta(days=29) < parsed.not_valid_after_utc - now <= timedelta(days=30)
    usage = parsed.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert set(usage) == {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH}
    constraints = parsed.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert not constraints.value.ca


def test_requests_must_be_signed_with_their_own_p256_key(network: Network) -> None:
    csr = bytearray(make_request(network.folder / "a"))
    csr[-1] ^= 1
    for bad in (
        b"",
        b"nonsense",
        bytes(csr),
        csr_of(ec.generate_private_key(ec.SECP384R1())),
        csr_of(ed25519.Ed25519PrivateKey.generate()),
    ):
        with pytest.raises(MalformedMessageError):
            certificates.requested_key(bad)


def test_names_fit_in_a_certificate(network: Network) -> None:
    csr = make_request(network.folder / "a")
    for name in ("", "n" * 65):
        with pytest.raises(UsageError, match="64"):
            network.authority.issue(csr, network.authority.new_address(), name)


def test_a_web_certificate_is_no_members(network: Network) -> None:
    csr = make_request(network.folder / "web")
    lifetime = timedelta(days=1)
    issued = network.authority.issue_web(csr, ["broker.example", "192.0.2.1"], lifetime=lifetime)
    parsed = x509.load_der_x509_certificate(issued)
    names = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["broker.example"]
    usage = parsed.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]
    with pytest.raises(AuthenticationError):
        certificates.owner_of(issued)
    single = network.authority.issue_web(csr, ["192.0.2.1"], lifetime=lifetime)
    with pytest.raises(AuthenticationError):
        certificates.owner_of(single)
    for hosts in ([], [str(network.broker.address)], ["ok.example", "fd00::1"]):
        with pytest.raises(UsageError):
            network.authority.issue_web(csr, hosts, lifetime=lifetime)


def test_an_issued_certificate_is_checked(network: Network) -> None:
    csr = make_request(network.folder / "a")
    address, name = network.authority.new_address(), "a"
    issued = network.authority.issue(csr, address, name)
    key_hash = certificates.requested_key_hash(csr)
    authority = network.authority.certificate
    assert certificates.check_issued(issued, authority, key_hash) == address
    other = Network.create(network.folder / "other").authority
    for certificate, expected in [
        (issued, bytes(32)),
        (other.issue(csr, address, name), key_hash),
        (authority, key_hash),
        (b"", key_hash),
    ]:
        with pytest.raises(AuthenticationError):
            certificates.check_issued(certificate, authority, expected)


def test_keys_and_certificates_that_are_damaged() -> None:
    for text in (b"", b"-----BEGIN PRIVATE KEY-----\n"):
        with pytest.raises(StateError, match="the key"):
            certificates.load_key(Secret(text), "the key")
        with pytest.raises(StateError, match="the certificate"):
            certificates.from_pem(text, "the certificate")


def test_pem_and_back(network: Network) -> None:
    der = network.authority.certificate
    assert certificates.from_pem(certificates.to_pem(der), "it") == der
