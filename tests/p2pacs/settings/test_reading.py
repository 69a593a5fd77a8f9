import tomllib
from pathlib import Path
from typing import Literal

import pytest
from pydantic import Field, ValidationError

from p2pacs.errors import SettingsError
from p2pacs.settings.reading import complaints, load_settings, merged, read_given
from p2pacs.settings.tables import Settings, StoreSettings
from p2pacs.units import Endpoint
from tests.p2pacs.settings.samples import Example, load


def test_loads(tmp_path: Path) -> None:
    example = load(
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
        (
            'name = "a"\n[line]\n# uplink = "1M"\n\n[a.b]\n[line]\nuplink = "1M"\n',
            r"toml:6: the section \[line\] stands in line 2 already: write",
        ),
        ('x = 1\n[a]\n[a."b"]\nc = 1\n[a.b]\n', r"toml:5: .*\[a\.b\] stands in line 3"),
    ],
)
def test_complaints_name_line_and_key(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(SettingsError, match=complaint):
        load(tmp_path, text)


def test_all_complaints_at_once(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"(?s)listen: this setting.*tries: "):
        load(tmp_path, 'name = "a"\ntries = -1\n')


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings(tmp_path / "none.toml", Example)


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


def test_of_two_settings_the_second_wins_table_by_table() -> None:
    base = {"a": 1, "web": {"tls": "off", "hosts": ["x"]}, "b": {"c": 1}}
    over = {"a": 2, "web": {"listen": "h:1", "tls": "on"}, "b": 3}
    both = {"a": 2, "web": {"tls": "on", "hosts": ["x"], "listen": "h:1"}, "b": 3}
    assert merged(base, over) == both
    assert merged({}, over) == over


def test_given_settings_must_be_toml(tmp_path: Path) -> None:
    path = tmp_path / "given.toml"
    with pytest.raises(SettingsError, match="cannot be read"):
        read_given(path)
    path.write_text("[web")
    with pytest.raises(SettingsError, match="not valid TOML"):
        read_given(path)
    path.write_text('[web]\ntls = "off"')
    assert read_given(path) == {"web": {"tls": "off"}}
