from pathlib import Path

import pytest

from broker import config
from broker.config import (
    BROKER_TOML,
    AdminWebSettings,
    BrokerSettings,
    load_broker_settings,
    save_broker_settings,
)
from p2pacs.errors import SettingsError, StateError
from p2pacs.units import Endpoint

MINIMAL = """
pacs = "dimse://ORTHANC@127.0.0.1:4242"
listen = ["127.0.0.1:4710"]
[web]
listen = "127.0.0.1:8443"
"""


def _load(tmp_path: Path, text: str) -> BrokerSettings:
    (tmp_path / BROKER_TOML).write_text(text)
    return load_broker_settings(tmp_path)


def test_minimal_settings_and_defaults(tmp_path: Path) -> None:
    settings = _load(tmp_path, MINIMAL)
    assert settings.endpoints == (Endpoint("127.0.0.1", 4710),)
    assert settings.enrolment.token_days == 7
    assert not settings.web.secure


def test_every_setting_is_written_with_a_comment(tmp_path: Path) -> None:
    settings = _load(tmp_path, MINIMAL)
    save_broker_settings(tmp_path, settings)
    assert load_broker_settings(tmp_path) == settings
    lines = (tmp_path / BROKER_TOML).read_text().splitlines()
    for line, before in zip(lines[1:], lines, strict=False):
        if " = " in line and not line.startswith("# The") and "=" in line.split("#")[-1]:
            assert before.startswith("#"), line
    assert (tmp_path / BROKER_TOML).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("listen", "tls", "secure"),
    [
        ("127.0.0.1:1", "auto", False),
        ("[::1]:1", "auto", False),
        ("192.168.1.4:1", "auto", True),
        ("127.0.0.1:1", "on", True),
        ("192.168.1.4:1", "off", False),
    ],
)
def test_plain_http_on_loopback_only(listen: str, tls: str, secure: bool) -> None:
    web = AdminWebSettings.model_validate({"listen": listen, "tls": tls})
    assert web.secure is secure


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (MINIMAL.replace("4710", "0"), "toml:3: listen: .*port, so it cannot be 0"),
        (MINIMAL.replace("127.0.0.1:4710", "0.0.0.0:4710"), "advertise: name the endpoints"),
        (MINIMAL.replace("web", "wed"), "wed: there is no such setting"),
        (MINIMAL + "idle_minutes = 0", "toml:6: web.idle_minutes: "),
        (MINIMAL.replace("dimse://ORTHANC@", "dimse://"), "toml:2: pacs: the PACS address needs"),
        (MINIMAL.replace("dimse:", "http:"), "toml:2: pacs: unknown scheme 'http'"),
    ],
)
def test_wrong_settings(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(SettingsError, match=complaint):
        _load(tmp_path, text)


def test_no_broker_here(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="p2pacs broker init"):
        load_broker_settings(tmp_path)
    (tmp_path / "peer.toml").touch()
    with pytest.raises(StateError, match="is a peer's folder, not a broker's: p2pacs status"):
        load_broker_settings(tmp_path)


def test_a_folder_of_the_version_before_has_its_files_under_these_names() -> None:
    """Renaming a module must not rename what lies in folders that are there."""
    names = {name: getattr(config, name) for name in (
        "BROKER_TOML", "DATABASE", "AUTHORITY", "IDENTITY", "SIGNING_KEY", "STUDY_SECRET",
        "CATALOGUE", "STORE", "WEB", "LOCK",
    )}  # fmt: skip
    assert names == {
        "BROKER_TOML": "broker.toml",
        "DATABASE": "broker.db",
        "AUTHORITY": "authority",
        "IDENTITY": "identity",
        "SIGNING_KEY": "signing.key",
        "STUDY_SECRET": "study.secret",
        "CATALOGUE": "catalogue.db",
        "STORE": "store",
        "WEB": "web",
        "LOCK": "lock",
    }
