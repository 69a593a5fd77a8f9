import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.texts import clean

TURNING = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


@pytest.mark.parametrize(
    "text",
    [
        "move by VIEWER, stat",
        "Müller^Jürgen",
        "Яковлев^Алексей",
        "山田^太郎",
        "שלום",
        "\u0646\u0627\u0645\u200c\u062e\u0627\u0646",  # Persian, with its zero-width non-joiner
        "e\u0301 combined",
        "",
    ],
)
def test_what_is_written_stays(text: str) -> None:
    assert clean(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;owned\x07\x1b[2J", "\\x1b]0;owned\\x07\\x1b[2J"),
        ("\x9b31mred", "\\x9b31mred"),
        ("one\nforged\r\tline", "one\\x0aforged\\x0d\\x09line"),
        ("cp\u202egnp.exe", "cp\\u202egnp.exe"),
        ("two\u2028lines", "two\\u2028lines"),
        ("half \ud800", "half \\ud800"),
        ("tag\U000e0041", "tag\\U000e0041"),
        ("z" + "\u0301" * 6, "z" + "\u0301" * 4 + "\\u0301" + "\u0301"),
    ],
)
def test_what_would_act_is_shown_as_an_escape(text: str, shown: str) -> None:
    assert clean(text) == shown


@given(st.text())
def test_nothing_acts_any_more_and_cleaning_twice_is_cleaning_once(text: str) -> None:
    shown = clean(text)
    assert not set(shown) & set(TURNING)
    assert not any(unicodedata.category(one) in {"Cc", "Cs", "Zl", "Zp"} for one in shown)
    assert clean(shown) == shown
