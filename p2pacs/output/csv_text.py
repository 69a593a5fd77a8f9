"""Rows as CSV (RFC 4180) that a spreadsheet may open: no cell is taken for a formula. Pure."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping
from typing import Final

from p2pacs.texts import clean

_FORMULA: Final = re.compile(r"[\t\r]|\s*[=+\-@\uff1d\uff0b\uff0d\uff20]")
"""How a cell begins that a spreadsheet calculates (OWASP, CSV Injection), full-width signs too."""

_NUMBER: Final = re.compile(r"[+-]?\d+(?:\.\d+)?")


def csv_text(columns: Iterable[str], rows: Iterable[Mapping[str, object]]) -> str:
    """One line of titles and a line for each row, with ``\\n`` after each.

    Args:
        columns: titles, which are keys of the rows.
        rows: their values: texts, numbers, truth values, lists of them, or None for an empty cell.
    """
    titles = list(columns)
    out = io.StringIO()
    write = csv.writer(out, lineterminator="\n")
    write.writerow(titles)
    for row in rows:
        write.writerow([safe_cell(row[title]) for title in titles])
    return out.getvalue()


def safe_cell(value: object) -> str:
    """A value as a cell: what could be a formula is text, with an apostrophe before it."""
    text = _text(value)
    return text if _NUMBER.fullmatch(text) else quoted(text)


def quoted(text: str) -> str:
    """The same, with an apostrophe before it if a spreadsheet would take it for a formula, which
    may send away what stands beside it."""
    return f"'{text}" if _FORMULA.match(text) else text


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return " ".join(map(_text, value))
    return clean(str(value))
