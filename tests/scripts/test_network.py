"""What the scripts do as people do it: edit settings."""

import tomllib
from pathlib import Path

from broker.config import (
    AdminWebSettings,
    BrokerSettings,
    load_broker_settings,
    save_broker_settings,
)
from p2pacs.units import Endpoint
from scripts import network


def test_settings_are_set_in_the_commented_file_and_load(tmp_path: Path) -> None:
    settings = BrokerSettings(
        pacs="dimse://A@127.0.0.1:104",
        listen=(Endpoint("127.1.0.1", 4710),),
        web=AdminWebSettings(listen=Endpoint("127.1.0.1", 8443)),
    )
    save_broker_settings(tmp_path, settings)
    path = tmp_path / "broker.toml"
    for uplink in ("800kbit", "1mbit"):
        network.set_toml(path, {"line.uplink": uplink, "line.lan": ["127.1.0.0/16"]})
    loaded = load_broker_settings(tmp_path)
    assert loaded.line.uplink == 1_000_000
    assert list(map(str, loaded.line.lan)) == ["127.1.0.0/16"]
    assert loaded.listen == settings.listen


def test_tables_are_set(tmp_path: Path) -> None:
    path = tmp_path / "peer.toml"
    path.write_text('name = "b"\n\n[gateway]\n\n# destinations = {}\n[log]\nlevel = "info"\n')
    network.set_toml(path, {"gateway.destinations": {"VIEWER": "127.0.0.1:104"}, "name": "a"})
    assert tomllib.loads(path.read_text()) == {
        "name": "a",
        "gateway": {"destinations": {"VIEWER": "127.0.0.1:104"}},
        "log": {"level": "info"},
    }
