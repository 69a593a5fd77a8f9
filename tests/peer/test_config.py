import ssl
from ipaddress import IPv4Network
from pathlib import Path

import pytest
from pydantic import ValidationError

from p2pacs.dimse.association.remote import DimseRemote
from p2pacs.errors import SettingsError, StateError
from p2pacs.settings import LineSettings, StoreSettings
from p2pacs.units import Endpoint
from peer import config
from peer.config import (
    PEER_TOML,
    GatewaySettings,
    PeerSettings,
    load_peer_settings,
    save_peer_settings,
)


def TLS() -> ssl.SSLContext:  # noqa: N802 - a name to look for
    raise AssertionError


def _settings(**changes: object) -> PeerSettings:
    return PeerSettings.model_validate({"name": "a", "listen": ["127.0.0.1:1"], **changes})


def test_written_settings_load_again(tmp_path: Path) -> None:
    settings = _settings(
        advertise=["10.0.0.1:2", "[2001:db8::1]:3"],
        dicom="127.0.0.1:11112",
        line=LineSettings(uplink=800_000, lan=(IPv4Network("10.0.0.0/8"),)),
        store=StoreSettings(capacity=50_000_000_000),
        gateway=GatewaySettings(
            allowed_callers=("A B",), destinations={"VIEWER": Endpoint("10.0.0.9", 104)}
        ),
    )
    save_peer_settings(tmp_path, settings)
    assert load_peer_settings(tmp_path) == settings
    assert settings.line.lan == (IPv4Network("10.0.0.0/8"),)


def test_images_need_not_be_kept_decoded(tmp_path: Path) -> None:
    assert _settings().gateway.decoded == 2_000_000_000
    for said, size in (("off", 0), ("500MB", 500_000_000)):
        settings = _settings(gateway={"decoded": said})
        assert settings.gateway.decoded == size
        save_peer_settings(tmp_path, settings)
        assert f'decoded = "{said}"' in (tmp_path / "peer.toml").read_text()
        assert load_peer_settings(tmp_path) == settings


def test_a_workstation_that_needs_conversion(tmp_path: Path) -> None:
    needs = {"address": "10.0.0.8:104", "transcode": "when needed"}
    settings = _settings(
        gateway={"destinations": {"OLD": needs, "NEW": "10.0.0.9:104"}, "transcode": "when needed"}
    )
    assert settings.gateway.converting == {"OLD": "when needed", "NEW": "implicit only"}
    assert settings.gateway.remotes(TLS)["OLD"] == DimseRemote("OLD", "10.0.0.8", 104)
    assert settings.gateway.destinations["OLD"].address == Endpoint("10.0.0.8", 104)
    save_peer_settings(tmp_path, settings)
    assert '"NEW" = "10.0.0.9:104"' in (tmp_path / "peer.toml").read_text()
    assert load_peer_settings(tmp_path) == settings


def test_a_workstation_that_listens_for_tls(tmp_path: Path) -> None:
    new = {"address": "10.0.0.8:2762", "tls": True, "tls_name": "VIEWER"}
    files = {"authorities": "/etc/ca.pem", "clients": "required"}
    settings = _settings(
        gateway={"destinations": {"NEW": new, "OLD": "10.0.0.9:104"}, "tls": "127.0.0.1:2762"},
        dicom_tls=files,
    )
    remotes = settings.gateway.remotes(TLS)
    assert (remotes["NEW"].tls, remotes["NEW"].tls_name) == (TLS, "VIEWER")
    assert remotes["OLD"].tls is None
    save_peer_settings(tmp_path, settings)
    assert load_peer_settings(tmp_path) == settings


@pytest.mark.parametrize("files", [{"key": "k.pem"}, {"clients": "required"}])
def test_certificates_that_do_not_belong_together(files: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        _settings(dicom_tls=files)


def test_to_whom_studies_go(tmp_path: Path) -> None:
    to = {"Children, North": {"callers": ["CT1"], "priority": "stat"}, "Capital": {}}
    settings = _settings(sending={"to": to})
    save_peer_settings(tmp_path, settings)
    text = (tmp_path / PEER_TOML).read_text()
    assert '"Children, North" = { "callers" = ["CT1"], "priority" = "stat" }' in text
    assert load_peer_settings(tmp_path) == settings
    said = "\n[sending.to.South]\ninstitutions = ['Village*']\n"
    (tmp_path / PEER_TOML).write_text(text.replace("\nto = ", "\n# to = ") + said)
    loaded = load_peer_settings(tmp_path).sending.to
    assert loaded["South"].institutions == ("Village*",)
    with pytest.raises(ValidationError):
        _settings(sending={"to": {"South": {"priority": "soon"}}})


def test_who_takes_implicit_vr_alone_gets_it_unless_it_is_said_otherwise() -> None:
    never = {"address": "10.0.0.8:104", "transcode": "never"}
    settings = _settings(gateway={"destinations": {"NEW": "10.0.0.9:104", "EXACT": never}})
    assert settings.gateway.converting == {"NEW": "implicit only", "EXACT": "never"}
    assert settings.gateway.transcode == "implicit only"


def test_every_key_is_in_the_file_with_a_comment(tmp_path: Path) -> None:
    save_peer_settings(tmp_path, _settings())
    text = (tmp_path / "peer.toml").read_text()
    for key in ("advertise", "aet", "dicom", "api", "uplink", "downlink", "lan", "capacity"):
        assert f"# {key} =" in text
    for key in ("allowed_callers", "destinations", "level", "json_lines"):
        assert f"# {key} =" in text


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('dicom = "here"', r"toml:3: dicom: not an endpoint"),
        ('api = "0.0.0.0:80"', "loopback"),
        ('aet = "MUCH TOO LONG A TITLE"', r"toml:3: aet: an AE title"),
        ('[store]\ncapacity = "much"', r"toml:4: store.capacity: not a size"),
        ('[line]\nlan = ["home"]', r"toml:4: line.lan: .*home"),
        ('[gateway.destinations]\nVIEWER = "x"', r"toml:4: gateway.destinations.VIEWER"),
        ("[gatway]", "no such setting"),
        (
            '[gateway]\ntranscode = "always"',
            r"toml:4: gateway.transcode: 'never', 'implicit only' or 'when needed'",
        ),
        (
            '[gateway.destinations.OLD]\naddress = "a:1"\ntranscode = "yes"',
            r"toml:5: gateway.destinations.OLD.transcode: 'never',",
        ),
        (
            '[gateway.destinations.OLD]\ntranscode = "never"',
            r"gateway.destinations.OLD.address: this setting is missing",
        ),
    ],
)
def test_complaints_say_where(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "peer.toml").write_text(f'name = "a"\nlisten = ["127.0.0.1:1"]\n{text}\n')
    with pytest.raises(SettingsError, match=complaint):
        load_peer_settings(tmp_path)


def test_a_folder_without_a_peer(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="p2pacs peer join"):
        load_peer_settings(tmp_path)


def test_a_brokers_folder(tmp_path: Path) -> None:
    (tmp_path / "broker.toml").touch()
    with pytest.raises(StateError, match=f"p2pacs broker status {tmp_path}"):
        load_peer_settings(tmp_path)


def test_a_folder_of_the_version_before_has_its_files_under_these_names() -> None:
    """Renaming a module must not rename what lies in folders that are there."""
    names = ("PEER_TOML", "IDENTITY", "STORE", "CATALOGUE_DB", "PEER_DB", "API_ACCESS", "LOCK")
    assert {name: getattr(config, name) for name in names} == {
        "PEER_TOML": "peer.toml",
        "IDENTITY": "identity",
        "STORE": "store",
        "CATALOGUE_DB": "catalogue.db",
        "PEER_DB": "peer.db",
        "API_ACCESS": "api.token",
        "LOCK": "lock",
    }
