import tomllib
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from p2pacs.settings.writing import render_settings, toml_value
from p2pacs.units import Endpoint
from tests.p2pacs.settings.samples import Example, Line, load


def test_written_settings_load_again(tmp_path: Path) -> None:
    example = Example(
        name='quo"ted',
        listen=Endpoint("::1", 4433),
        line=Line(uplink=800_000),
        destinations={"WS 1": Endpoint("10.0.0.1", 104)},
    )
    text = render_settings(example, "An example.")
    assert load(tmp_path, text) == example
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
