import io
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.output.tables import Column, Facts, Table, render, show, width

STUDIES = Table(
    [Column("Name", wraps=True), Column("Images", right=True), Column("UID")],
    [("Doe^Jane", "7", "1.2.3"), ("Roe^Richard the third", "255", "1.2.840.113619")],
    "Studies",
)


def _lines(*parts: Table | Facts, wide: int | None) -> list[str]:
    return list(render(parts, wide))


def test_on_a_wide_terminal() -> None:
    assert _lines(STUDIES, wide=60) == [
        "Studies",
        "Name                   Images  UID",
        "─────────────────────  ──────  ──────────────",
        "Doe^Jane                    7  1.2.3",
        "Roe^Richard the third     255  1.2.840.113619",
    ]


def test_prose_is_wrapped_at_words_before_anything_else() -> None:
    assert _lines(STUDIES, wide=40)[3:] == [
        "Doe^Jane               7  1.2.3",
        "Roe^Richard the      255  1.2.840.113619",
        "third",
    ]


def test_on_a_narrow_terminal_a_row_is_a_block() -> None:
    assert _lines(STUDIES, wide=30) == [
        "Studies",
        "Name    Doe^Jane",
        "Images  7",
        "UID     1.2.3",
        "",
        "Name    Roe^Richard the third",
        "Images  255",
        "UID     1.2.840.113619",
    ]


def test_elsewhere_it_is_separated_by_tabs() -> None:
    facts = Facts([("Member", "north"), ("Broker", "linked")])
    assert _lines(facts, STUDIES, wide=None) == [
        "Member\tnorth",
        "Broker\tlinked",
        "",
        "Studies",
        "Name\tImages\tUID",
        "Doe^Jane\t7\t1.2.3",
        "Roe^Richard the third\t255\t1.2.840.113619",
    ]


def test_nothing_in_a_cell_makes_a_column_a_line_or_a_colour() -> None:
    table = Table([Column("A"), Column("B")], [("x\ty\nz", "\x1b[31mred")])
    assert _lines(table, wide=None)[1] == r"x\x09y\x0az" + "\t" + r"\x1b[31mred"
    assert "\x1b" not in "".join(_lines(table, wide=80))


@pytest.mark.parametrize(
    ("text", "columns"), [("", 0), ("Doe", 3), ("山田^太郎", 9), ("Mu\u0308ller", 6)]
)
def test_what_a_text_takes_on_a_terminal(text: str, columns: int) -> None:
    assert width(text) == columns


CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="─"), max_size=60)


@given(st.lists(st.tuples(CELLS, CELLS, CELLS), max_size=5), st.integers(20, 200))
def test_any_table_fits_or_is_blocks_and_loses_nothing(
    rows: list[tuple[str, str, str]], wide: int
) -> None:
    columns = [Column("First", wraps=True), Column("Second", wraps=True), Column("Third")]
    lines = _lines(Table(columns, rows), wide=wide)
    if "─" in "".join(lines[1:2]) and lines[0].startswith("First"):
        assert all(width(line) <= wide for line in lines)
    plain = _lines(Table(columns, rows), wide=None)
    assert len(plain) == 1 + len(rows)
    assert all(line.count("\t") == 2 for line in plain)


@pytest.mark.parametrize("terminal", [True, False])
def test_standard_output_says_whether_it_is_a_terminal(
    monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    out = io.StringIO()
    monkeypatch.setattr(out, "isatty", lambda: terminal)
    monkeypatch.setattr("sys.stdout", out)
    monkeypatch.setattr("shutil.get_terminal_size", lambda: os.terminal_size((60, 24)))
    show(STUDIES)
    assert ("\t" in out.getvalue()) is not terminal
    assert out.getvalue().startswith("Studies\nName")
