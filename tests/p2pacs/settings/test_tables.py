from ipaddress import IPv4Network
from pathlib import Path

import pytest

from p2pacs.errors import SettingsError
from p2pacs.settings.fields import MEASURED, AeTitleField
from p2pacs.settings.reading import load_settings
from p2pacs.settings.tables import LineSettings, LogSettings, Settings, StoreSettings
from p2pacs.settings.writing import render_settings


class Shared(Settings):
    aet: AeTitleField = "P2PACS"
    line: LineSettings = LineSettings()
    store: StoreSettings = StoreSettings()
    log: LogSettings = LogSettings()


def test_the_tables_that_both_sides_have(tmp_path: Path) -> None:
    path = tmp_path / "shared.toml"
    path.write_text(
        'aet = " WS1 "\n[line]\nlan = ["10.1.2.3/8"]\n[store]\ncapacity = "1.5GB"\n'
        '[log]\nlevel = "debug"\n'
    )
    shared = load_settings(path, Shared)
    assert shared.aet == "WS1"
    assert shared.line.lan == (IPv4Network("10.0.0.0/8"),)
    assert shared.store.capacity == 1_500_000_000
    path.write_text(render_settings(shared, "Shared."))
    assert load_settings(path, Shared) == shared
    assert 'capacity = "1500MB"' in path.read_text()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('aet = "SEVENTEEN LETTERS"', "toml:1: aet: an AE title has 1 to 16"),
        ('[store]\ncapacity = "much"', "toml:2: store.capacity: not a size"),
        ("[store]\ncapacity = true", "toml:2: store.capacity: not a size"),
        (f'[store]\ncapacity = "{"9" * 400}GB"', "toml:2: store.capacity: not a size"),
        ('[line]\nlan = ["10.0.0.300"]', "toml:2: line.lan: .*10.0.0.300"),
        ('[log]\nlevel = "loud"', "toml:2: log.level: .*'debug'"),
    ],
)
def test_complaints_about_shared_tables(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "shared.toml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=complaint):
        load_settings(path, Shared)


def test_a_line_with_hours(tmp_path: Path) -> None:
    path = tmp_path / "line.toml"
    path.write_text(
        'uplink = "measured"\nhours = ["08:00-18:00 400kbit", "sat,sun 00:00-24:00 off"]\n'
    )
    line = load_settings(path, LineSettings)
    assert line.uplink == MEASURED
    assert [one.rate for one in line.hours] == [400_000, 0]
    path.write_text(render_settings(line, "A line."))
    assert load_settings(path, LineSettings) == line


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('uplink = "guessed"', "toml:1: uplink: not a rate"),
        ('uplink = "1mbit"\nhours = ["8-18 1mbit"]', "toml:2: hours: not hours with a rate"),
        ('uplink = "1mbit"\nhours = ["08:00-18:00 fast"]', "toml:2: hours: not a rate"),
    ],
)
def test_a_wrong_line_is_said(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "line.toml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=says):
        load_settings(path, LineSettings)


def test_hours_are_exceptions_from_an_uplink(tmp_path: Path) -> None:
    path = tmp_path / "both.toml"
    path.write_text('[line]\nhours = ["08:00-18:00 1mbit"]\n')
    with pytest.raises(SettingsError, match=r"toml:\d+: line: hours need an uplink"):
        load_settings(path, Shared)
