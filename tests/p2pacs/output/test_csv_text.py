import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.output.csv_text import csv_text, safe_cell


def test_rows_are_read_back_by_a_reader() -> None:
    rows: list[dict[str, object]] = [
        {"name": 'North, "East"', "count": 3, "on": True, "all": ["CT", "MR"], "none": None},
        {"name": "Grün", "count": 0, "on": False, "all": [], "none": None},
    ]
    text = csv_text(["name", "count", "on", "all", "none"], rows)
    assert list(csv.reader(io.StringIO(text))) == [
        ["name", "count", "on", "all", "none"],
        ['North, "East"', "3", "yes", "CT MR", ""],
        ["Grün", "0", "no", "", ""],
    ]


def test_without_rows_there_are_titles() -> None:
    assert csv_text(["a", "b"], []) == "a,b\n"


@pytest.mark.parametrize(
    "text", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", " =1", "\uff1d"]
)
def test_nothing_is_taken_for_a_formula(text: str) -> None:
    assert safe_cell(text) == f"'{text}"


@pytest.mark.parametrize("text", ["-5", "+1.5", "12", "1.2.840.1", "a=b", "2001-02-03"])
def test_what_is_no_formula_stays_as_it_is(text: str) -> None:
    assert safe_cell(text) == text


@given(st.text())
def test_any_text_is_one_line_and_no_formula(text: str) -> None:
    written = csv_text(["x"], [{"x": text}])
    [_, [cell]] = list(csv.reader(io.StringIO(written)))[:2] if text else [[], [""]]
    assert written.count("\n") == 2
    assert not cell.lstrip().startswith(("=", "@"))
