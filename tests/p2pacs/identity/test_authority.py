import ipaddress
from pathlib import Path

import pytest
from cryptography import x509

from p2pacs.errors import StateError
from p2pacs.identity.authority import Authority
from p2pacs.identity.node import make_request


def test_a_network_is_founded_once(tmp_path: Path) -> None:
    made = Authority.create(tmp_path / "ca", "North")
    with pytest.raises(StateError, match="another folder"):
        Authority.create(tmp_path / "ca", "North")
    loaded = Authority.load(tmp_path / "ca")
    assert (loaded.name, loaded.prefix, loaded.certificate) == (
        made.name,
        made.prefix,
        made.certificate,
    )
    for path in (tmp_path / "ca").iterdir():
        assert path.stat().st_mode & 0o777 == 0o600


def test_addresses_lie_in_the_networks_prefix(tmp_path: Path) -> None:
    authority = Authority.create(tmp_path, "North")
    assert authority.network.subnet_of(ipaddress.IPv6Network("fd00::/8"))
    addresses = {authority.new_address() for _ in range(100)}
    assert len(addresses) == 100
    assert all(ipaddress.IPv6Address(str(one)) in authority.network for one in addresses)


def test_two_networks_differ(tmp_path: Path) -> None:
    one, two = (Authority.create(tmp_path / name, "North") for name in "ab")
    assert one.prefix != two.prefix
    assert one.certificate != two.certificate


def test_the_authoritys_own_certificate(tmp_path: Path) -> None:
    authority = Authority.create(tmp_path, "North")
    parsed = x509.load_der_x509_certificate(authority.certificate)
    parsed.verify_directly_issued_by(parsed)
    constraints = parsed.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert constraints.ca
    assert constraints.path_length == 0


def test_a_reloaded_authority_issues_for_the_same_network(tmp_path: Path) -> None:
    made = Authority.create(tmp_path / "ca", "North")
    csr = make_request(tmp_path / "node")
    issued = Authority.load(tmp_path / "ca").issue(csr, made.new_address(), "a")
    authority = x509.load_der_x509_certificate(made.certificate)
    x509.load_der_x509_certificate(issued).verify_directly_issued_by(authority)


@pytest.mark.parametrize("name", ["authority.key", "authority.pem", "network.json"])
@pytest.mark.parametrize("content", [None, b"nonsense", b"[]", b'{"name": 1}'])
def test_what_is_missing_or_damaged_is_named(
    tmp_path: Path, name: str, content: bytes | None
) -> None:
    Authority.create(tmp_path, "North")
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(StateError, match=r"authority|description|network\.json"):
        Authority.load(tmp_path)
