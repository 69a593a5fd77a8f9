import tomllib
from ipaddress import IPv4Network
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from p2pacs.errors import SettingsError
from p2pacs.settings import (
    MEASURED,
    AeTitleField,
    EndpointField,
    LineSettings,
    LogSettings,
    RateField,
    Settings,
    StoreSettings,
    complaints,
    load_settings,
    render_settings,
    toml_value,
)
from p2pacs.units import Endpoint


class Line(Settings):
    uplink: RateField | None = Field(default=None, description="Uplink.", examples=["800kbit"])
    lan: tuple[str, ...] = Field(default=(), description="Networks.")


class Example(Settings):
    name: str = Field(description="The name.")
    listen: EndpointField = Field(description="Where to listen.", examples=["0.0.0.0:4433"])
    tries: int = Field(default=5, ge=1, description="How often.")
    line: Line = Line()
    destinations: dict[str, EndpointField] = Field(default_factory=dict, description="Who.")


def _load(tmp_path: Path, text: str) -> Example:
    path = tmp_path / "example.toml"
    path.write_text(text)
    return load_settings(path, Example)


def test_loads(tmp_path: Path) -> None:
    example = _load(
        tmp_path,
        'name = "a"\nlisten = "127.0.0.1:1"\n[line]\nuplink = "800kbit"\n'
        '[destinations]\nWS1 = "10.0.0.1:104"\n',
    )
    assert example.listen == Endpoint("127.0.0.1", 1)
    assert example.line.uplink == 800_000
    assert example.destinations == {"WS1": Endpoint("10.0.0.1", 104)}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('name = "a"\n\nlisten = "nowhere"\n', r"toml:3: listen: not an endpoint.*HOST:PORT"),
        ('listen = "h:1"\n', "toml: name: this setting is missing"),
        ('name = "a"\nlisten = "h:1"\ntires = 3\n', "toml:3: tires: there is no such setting"),
        (
            'name = "a"\nlisten = "h:1"\n# x\n[line]\n\nuplink = "fast"\n',
            "toml:6: line.uplink: not",
        ),
        ('name = "a"\nlisten = "h:1"\ntries = 0\n', "toml:3: tries: at least 1 is possible"),
        ('name = "a"\nlisten = "h:1"\nline = {uplink = true}\n', "toml:3: line.uplink"),
        (
            'name = """\ntries = 1\n"""\nlisten = "h:1"\ntries = "x"\n',
            "toml:5: tries: a whole number is expected",
        ),
        ('name = "a"\nlisten = "h:1"\n[line]\nlan = [\n"a",\n3]\n', "toml:4: line.lan: "),
        ("name = \n", r"not valid TOML: .*line 1"),
    ],
)
def test_complaints_name_line_and_key(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(SettingsError, match=complaint):
        _load(tmp_path, text)


def test_all_complaints_at_once(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"(?s)listen: this setting.*tries: "):
        _load(tmp_path, 'name = "a"\ntries = -1\n')


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings(tmp_path / "none.toml", Example)


def test_written_settings_load_again(tmp_path: Path) -> None:
    example = Example(
        name='quo"ted',
        listen=Endpoint("::1", 4433),
        line=Line(uplink=800_000),
        destinations={"WS 1": Endpoint("10.0.0.1", 104)},
    )
    text = render_settings(example, "An example.")
    assert _load(tmp_path, text) == example
    assert "# An example.\n" in text
    assert "# tries = 5\n" in text
    assert 'uplink = "800kbit"' in text
    assert '# Where to listen. Example: "0.0.0.0:4433".\n' in text
    assert text.index("[line]") > text.index("destinations")


@given(
    st.recursive(
        st.text() | st.integers(-(2**63), 2**63 - 1) | st.booleans(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=8,
    )
)
def test_values_are_toml(value: object) -> None:
    assert tomllib.loads(f"key = {toml_value(value)}") == {"key": value}


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


class Everything(Settings):
    """A field of each kind that settings have."""

    texts: tuple[str, ...] = Field(default=(), min_length=1)
    text: str = Field(default="a", min_length=1, max_length=2)
    number: int = Field(default=5, ge=2, le=9)
    yes: bool = False
    one: Literal["a", "b"] = "a"
    table: dict[str, str] = Field(default_factory=dict)
    inner: StoreSettings = StoreSettings()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("texts = []", "texts: at least 1 must be named"),
        ('texts = "a"', 'texts: a list is expected: ["…", "…"]'),
        ("texts = [5]", 'texts: a text in quotes is expected: "…"'),
        ("text = 5", 'text: a text in quotes is expected: "…"'),
        ('text = ""', "text: it has at least so many characters: 1"),
        ('text = "abc"', "text: it has at most so many characters: 2"),
        ('number = "many"', "number: a whole number is expected"),
        ("number = 2.5", "number: a whole number is expected"),
        ("number = []", "number: a whole number is expected"),
        ("number = 1", "number: at least 2 is possible"),
        ("number = 10", "number: at most 9 is possible"),
        ("yes = 5", "yes: true or false is expected"),
        ("yes = []", "yes: true or false is expected"),
        ('one = "c"', "one: 'a' or 'b' is expected"),
        ("table = 5", "table: a table is expected, of keys with values"),
        ("inner = 5", "inner: a table is expected, of keys with values"),
        ("inner.capacity = 50", "inner.capacity: not a size"),
        ("outer = 5", "outer: there is no such setting"),
    ],
)
def test_what_is_wrong_is_said_in_words_of_settings(tmp_path: Path, line: str, said: str) -> None:
    (tmp_path / "a.toml").write_text(line)
    with pytest.raises(SettingsError) as refused:
        load_settings(tmp_path / "a.toml", Everything)
    assert str(refused.value).startswith(f"{tmp_path / 'a.toml'}:1: {said}")
    values = tomllib.loads(line)
    with pytest.raises(ValidationError) as invalid:
        Everything.model_validate(values)
    assert complaints(invalid.value).startswith(said)
