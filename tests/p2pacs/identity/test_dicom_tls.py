import ssl
import stat
from pathlib import Path
from typing import Any

import pytest

from p2pacs.errors import StateError
from p2pacs.identity.dicom_tls import CERTIFICATE, FOLDER, KEY, DicomTls
from p2pacs.settings import DicomTlsSettings


def tls(folder: Path, **files: Any) -> DicomTls:
    settings = DicomTlsSettings(**files)
    return DicomTls(
        folder, settings, "GATEWAY", lambda: ["gateway.example", "127.0.0.1", "fd00::1"]
    )


def shake_hands(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> ssl.SSLObject:
    """A handshake in memory; the client's end."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(to_client, to_server, server_hostname=name)
    theirs = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(6):
        for side in (ours, theirs):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    theirs.write(b"x")
    assert ours.read(1) == b"x"
    return ours


def test_a_certificate_is_made_once_and_for_the_account_alone(tmp_path: Path) -> None:
    tls(tmp_path).server()
    made, key = tmp_path / FOLDER / CERTIFICATE, tmp_path / FOLDER / KEY
    before = made.read_bytes()
    tls(tmp_path).client()
    assert made.read_bytes() == before
    assert all(stat.S_IMODE(one.stat().st_mode) == 0o600 for one in (made, key))


@pytest.mark.parametrize("name", ["gateway.example", "127.0.0.1"])
def test_who_trusts_it_finds_it_by_its_names(tmp_path: Path, name: str) -> None:
    server = tls(tmp_path).server()
    viewer = tls(tmp_path / "viewer", authorities=str(tmp_path / FOLDER / CERTIFICATE))
    assert shake_hands(server, viewer.client(), name).version() == "TLSv1.3"
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(server, viewer.client(), "other.example")


def test_who_does_not_trust_it_does_not_talk_with_it(tmp_path: Path) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(tls(tmp_path).server(), tls(tmp_path / "viewer").client(), "gateway.example")


def test_only_strong_ciphers_of_tls_1_2(tmp_path: Path) -> None:
    server = tls(tmp_path).server()
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    assert shake_hands(server, old, "gateway.example").version() == "TLSv1.2"
    old.set_ciphers("ECDHE-ECDSA-AES256-SHA384:ECDHE-ECDSA-AES128-SHA:AES256-SHA")
    with pytest.raises(ssl.SSLError):
        shake_hands(server, old, "gateway.example")


def test_clients_may_have_to_show_a_certificate(tmp_path: Path) -> None:
    tls(tmp_path / "viewer").client()
    trusted = str(tmp_path / "viewer" / FOLDER / CERTIFICATE)
    own = str(tmp_path / FOLDER / CERTIFICATE)
    viewer = tls(tmp_path / "viewer", authorities=own)
    other = tls(tmp_path / "other", authorities=own)
    bare = ssl.create_default_context(cafile=None)
    tls(tmp_path).server()
    bare.load_verify_locations(own)
    for clients, welcome in (("required", [viewer]), ("optional", [viewer, None])):
        server = tls(tmp_path, authorities=trusted, clients=clients).server()
        for who in (viewer, other, None):
            client = bare if who is None else who.client()
            if who in welcome:
                shake_hands(server, client, "gateway.example")
            else:
                with pytest.raises(ssl.SSLError):
                    shake_hands(server, client, "gateway.example")


@pytest.mark.parametrize("name", ["certificate", "authorities"])
def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, name: str) -> None:
    file = tmp_path / "x.pem"
    with pytest.raises(StateError, match=r"cannot read .*x\.pem"):
        tls(tmp_path, **{name: str(file)}).client()
    file.write_text("nonsense")
    with pytest.raises(StateError, match=r"x\.pem does not hold"):
        tls(tmp_path, **{name: str(file)}).client()


def test_a_certificate_of_the_site(tmp_path: Path) -> None:
    """Files are named from the program's folder on."""
    tls(tmp_path).server()
    site = tls(tmp_path, certificate=f"{FOLDER}/{CERTIFICATE}", key=f"{FOLDER}/{KEY}")
    viewer = tls(tmp_path / "viewer", authorities=str(tmp_path / FOLDER / CERTIFICATE))
    shake_hands(site.server(), viewer.client(), "gateway.example")
