"""Tables that commands print: narrow on a terminal, tab-separated text elsewhere.

What is whole stays whole: a UID in two lines can neither be read nor be pasted. So a table that is
too wide for its terminal first wraps what is prose, at words; then it is written as one block for
each row, a line for each cell, which the terminal may wrap as it likes. In a pipe nothing is
wrapped, cut or padded: a line for each row, after one with the titles.
"""

from __future__ import annotations

import shutil
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Final

from attrs import frozen

from p2pacs.texts import clean

GAP: Final = "  "
NARROWEST: Final = 12
"""Columns that prose is wrapped to at least: narrower, nobody can read it."""


@frozen
class Column:
    """One column of a table."""

    title: str
    right: bool = False
    """Whether it is numbers, aligned at their ends."""
    wraps: bool = False
    """Whether it is prose: it may be wrapped at words."""


@frozen
class Table:
    """What is shown together."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]
    title: str = ""
    """A line above; empty: none."""


@frozen
class Facts:
    """Names with their values, a line each."""

    rows: Sequence[tuple[str, str]]


def show(*parts: Table | Facts) -> None:
    """Print them on standard output, as it can take them."""
    wide = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for line in render(parts, wide):
        sys.stdout.write(line + "\n")


def render(parts: Sequence[Table | Facts], wide: int | None) -> Iterator[str]:
    """The lines, cleaned of what a terminal would obey.

    Args:
        parts: what is shown, an empty line between two.
        wide: columns of the terminal; None: it is none.
    """
    for number, part in enumerate(parts):
        if number:
            yield ""
        if isinstance(part, Facts):
            yield from _facts(part, wide)
        elif wide is None:
            yield from _plain(part)
        else:
            yield from _on_terminal(part, wide)


def width(text: str) -> int:
    """Columns that a text takes on a terminal (Unicode Standard Annex 11)."""
    if text.isascii():
        return len(text)
    return sum(
        0
        if unicodedata.category(one) in {"Mn", "Me", "Cf"}
        else 1 + (unicodedata.east_asian_width(one) in {"W", "F"})
        for one in text
    )


def _facts(facts: Facts, wide: int | None) -> Iterator[str]:
    rows = [(clean(name), clean(value)) for name, value in facts.rows]
    longest = max((width(name) for name, _ in rows), default=0)
    for name, value in rows:
        yield f"{name}\t{value}" if wide is None else _padded(name, longest) + GAP + value


def _plain(table: Table) -> Iterator[str]:
    if table.title:
        yield table.title
    yield "\t".join(column.title for column in table.columns)
    for row in table.rows:
        yield "\t".join(map(clean, row))


def _on_terminal(table: Table, wide: int) -> Iterator[str]:
    if table.title:
        yield table.title
    rows = [[clean(cell) for cell in row] for row in table.rows]
    widths = _widths(table, rows, wide)
    if widths is None:
        yield from _blocks(table, rows)
        return
    yield from _lines(table.columns, [column.title for column in table.columns], widths)
    yield GAP.join("─" * one for one in widths)
    for row in rows:
        yield from _lines(table.columns, row, widths)


def _blocks(table: Table, rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """A line for each cell; nothing is wrapped here, so all can be copied whole."""
    longest = max(width(column.title) for column in table.columns)
    for number, row in enumerate(rows):
        if number:
            yield ""
        for column, cell in zip(table.columns, row, strict=True):
            if cell:
                yield _padded(column.title, longest) + GAP + cell


def _widths(table: Table, rows: Sequence[Sequence[str]], wide: int) -> list[int] | None:
    """How wide each column is, prose as narrow as it must be; None: it does not fit."""
    titles = [column.title for column in table.columns]
    widths = [max(map(width, cells)) for cells in zip(titles, *rows, strict=True)]
    over = sum(widths) + len(GAP) * (len(widths) - 1) - wide
    prose = [number for number, column in enumerate(table.columns) if column.wraps]
    while over > 0 and prose:
        widest = max(prose, key=lambda number: widths[number])
        if widths[widest] <= NARROWEST:
            return None
        widths[widest] -= 1
        over -= 1
    return None if over > 0 else widths


def _lines(columns: Sequence[Column], row: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    """The lines of one row: more than one where prose is wrapped."""
    cells = [_wrapped(cell, widest) for cell, widest in zip(row, widths, strict=True)]
    for number in range(max(map(len, cells))):
        line = [
            _padded(cell[number] if number < len(cell) else "", widest, right=column.right)
            for column, cell, widest in zip(columns, cells, widths, strict=True)
        ]
        yield GAP.join(line).rstrip()


def _wrapped(cell: str, widest: int) -> list[str]:
    """The lines of a cell, broken at spaces, or inside a word that has no line to itself."""
    lines, line = list[str](), ""
    for word in cell.split(" "):
        longer = f"{line} {word}" if line else word
        if width(longer) <= widest:
            line = longer
            continue
        lines += [line] if line else []
        *full, line = _pieces(word, widest)
        lines += full
    return [*lines, line]


def _pieces(word: str, widest: int) -> list[str]:
    pieces = [""]
    for letter in word:
        if width(pieces[-1] + letter) > widest:
            pieces.append("")
        pieces[-1] += letter
    return pieces


def _padded(text: str, widest: int, *, right: bool = False) -> str:
    room = " " * (widest - width(text))
    return room + text if right else text + room
