from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from p2pacs.errors import AuthenticationError, StateError
from p2pacs.identity.node import NodeIdentity, make_request, read_box_key
from tests.p2pacs.identity.network import Network


def test_an_identity_is_what_was_written(network: Network) -> None:
    made = network.member("a")
    loaded = NodeIdentity.load(network.folder / "a")
    assert loaded.address == made.address
    assert loaded.name == "a"
    assert loaded.broker == network.broker.address
    assert loaded.broker_key == network.signing.public
    assert loaded.key_hash == made.key_hash
    assert loaded.box_key.public == made.box_key.public
    assert loaded.authority == network.authority.certificate
    assert timedelta(days=29) < loaded.expires - datetime.now(UTC) < timedelta(days=31)


def test_keys_are_private_and_made_once(tmp_path: Path) -> None:
    make_request(tmp_path)
    key, box = (tmp_path / "key.pem").read_bytes(), read_box_key(tmp_path)
    make_request(tmp_path)
    assert (tmp_path / "key.pem").read_bytes() == key
    assert read_box_key(tmp_path).public == box.public
    for path in tmp_path.iterdir():
        assert path.stat().st_mode & 0o777 == 0o600


def test_a_folder_belongs_to_one_member(network: Network) -> None:
    network.member("a")
    with pytest.raises(StateError, match="another folder"):
        network.member("a")


def test_a_certificate_for_another_key_is_not_written(network: Network) -> None:
    other = make_request(network.folder / "other")
    make_request(network.folder / "a")
    with pytest.raises(AuthenticationError):
        NodeIdentity.create(
            network.folder / "a",
            name="a",
            certificate=network.authority.issue(other, network.authority.new_address(), "a"),
            authority=network.authority.certificate,
            broker=network.broker.address,
            broker_key=network.signing.public,
        )
    with pytest.raises(StateError, match="joined"):
        NodeIdentity.load(network.folder / "a")


def test_renewal_replaces_the_certificate(network: Network) -> None:
    short = network.member("a", lifetime=timedelta(days=1))
    csr = make_request(short.folder)
    renewed = short.renewed(network.authority.issue(csr, short.address, "a"))
    assert renewed.expires - short.expires > timedelta(days=28)
    assert NodeIdentity.load(short.folder).expires == renewed.expires
    assert renewed.key_hash == short.key_hash
    for certificate in (
        network.authority.issue(csr, network.authority.new_address(), "a"),
        network.authority.issue(make_request(network.folder / "b"), short.address, "a"),
        b"",
    ):
        with pytest.raises(AuthenticationError):
            short.renewed(certificate)
    assert NodeIdentity.load(short.folder).expires == renewed.expires


@pytest.mark.parametrize("name", ["key.pem", "cert.pem", "authority.pem", "box.key", "node.json"])
@pytest.mark.parametrize("content", [None, b"nonsense", b"00", b"{}"])
def test_what_is_missing_or_damaged_is_named(
    network: Network, name: str, content: bytes | None
) -> None:
    folder = network.member("a").folder
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    with pytest.raises(StateError):
        NodeIdentity.load(folder)
