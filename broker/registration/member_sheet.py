"""Several members to be registered, as a CSV file that a spreadsheet wrote. Pure.

The first line names the columns, in any order: ``name`` and ``role`` are needed; ``uplink``,
``downlink``, ``read`` and ``send`` may be missing or empty, as in the form. Columns are separated
by commas, semicolons (as spreadsheets of many countries write) or tabs; texts may stand in quotes
(RFC 4180), in UTF-8. Empty lines are passed over.
"""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

from attrs import field, frozen

from broker.members.registry import Registration
from broker.registration.fields import FIELDS, check_fields
from p2pacs.errors import UsageError
from p2pacs.limits import KIB
from p2pacs.phrases import Phrase
from p2pacs.texts import clean

BYTES: Final = 256 * KIB
"""Of a file: a thousand members need a third of it."""

ROWS: Final = 1000
"""Members in one file."""

NEEDED: Final = ("name", "role")
_SEPARATORS: Final = ",;\t"
_CELL: Final = 4 * KIB
"""Characters of a cell: a read rule has no more."""

_TOLD: Final = 20
"""Mistakes that an error names."""


@frozen
class SheetRow:
    """One member of the file."""

    line: int
    """Of the file, from 1; of its end if the row has several."""
    values: Mapping[str, str]
    """By the names in `FIELDS`, as they stand in the file."""
    wrong: Mapping[str, str] = field(factory=dict)
    """What is wrong, by field; ``row`` if it is the row itself."""
    registration: Registration | None = None
    """None if anything is wrong."""


@frozen
class MemberSheet:
    """All members of a file, checked."""

    rows: Sequence[SheetRow]

    @property
    def wrong(self) -> list[SheetRow]:
        """Rows with a mistake: while there is one, nobody is registered."""
        return [row for row in self.rows if row.registration is None]

    @property
    def wrong_first(self) -> list[SheetRow]:
        """All rows, those with a mistake first."""
        return sorted(self.rows, key=lambda row: row.registration is not None)

    @property
    def registrations(self) -> list[Registration]:
        """Of all rows.

        Raises:
            UsageError: a row has a mistake.
        """
        if wrong := [said for row in self.wrong for said in _mistakes(row)]:
            told, others = "; ".join(wrong[:_TOLD]), len(wrong) - _TOLD
            more = Phrase("%(mistakes)s; and %(count)s more", mistakes=told, count=others)
            raise UsageError(more if others > 0 else told)
        return [row.registration for row in self.rows if row.registration is not None]


def _mistakes(row: SheetRow) -> list[str]:
    return [f"line {row.line}, {name}: {said}" for name, said in row.wrong.items()]  # command line


def read_sheet(raw: bytes, taken: Collection[str] = ()) -> MemberSheet:
    """The members in a CSV file.

    Args:
        raw: the file.
        taken: names that are taken, in lower case.

    Raises:
        UsageError: it is no such file: too long, not UTF-8, without a needed column or any member.
    """
    if len(raw) > BYTES:
        raise UsageError(Phrase("the file is longer than %(most)s KiB", most=BYTES // KIB))
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(Phrase("the file is not UTF-8: save it as “CSV UTF-8”")) from error
    lines = _lines(text)
    columns = _columns(next(lines, (0, []))[1])
    names = dict.fromkeys(taken, 0)
    rows: list[SheetRow] = []
    for line, cells in lines:
        if len(rows) == ROWS:
            raise UsageError(Phrase("a file has at most %(most)s members", most=ROWS))
        rows.append(_row(line, cells, columns, names))
    if not rows:
        raise UsageError(
            Phrase("the file names nobody: below the line of columns each line is a member")
        )
    return MemberSheet(rows)


def _lines(text: str) -> Iterator[tuple[int, list[str]]]:
    """Line numbers and cells of all lines that are not empty."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    separator = max(_SEPARATORS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        for cells in reader:
            if any(map(str.strip, cells)):
                yield reader.line_num, [cell.strip() for cell in cells]
    except csv.Error as error:
        raise UsageError(
            Phrase("line %(line)s: no CSV (%(why)s)", line=reader.line_num, why=str(error))
        ) from error


def _columns(cells: Sequence[str]) -> list[str]:
    columns = [cell.lower() for cell in cells]
    known = ", ".join(FIELDS)
    if missing := [name for name in NEEDED if name not in columns]:
        raise UsageError(
            Phrase(
                "the first line names the columns (%(known)s); these are missing: %(missing)s",
                known=known,
                missing=", ".join(missing),
            )
        )
    if strange := [name for name in columns if name not in FIELDS]:
        raise UsageError(
            Phrase(
                "there is no column %(typed)s; there are %(known)s",
                typed=repr(clean(strange[0])[:32]),
                known=known,
            )
        )
    if len({*columns}) < len(columns):
        raise UsageError(Phrase("a column stands there twice"))
    return columns


def _row(
    line: int, cells: Sequence[str], columns: Sequence[str], names: dict[str, int]
) -> SheetRow:
    """Check a row; its name is taken for those that follow."""
    values = dict.fromkeys(FIELDS, "") | dict(zip(columns, cells, strict=False))
    if len(cells) > len(columns):
        too_many = Phrase(
            "has %(cells)s cells, and there are %(columns)s columns: put a text with a separator in"
            " quotes",
            cells=len(cells),
            columns=len(columns),
        )
        return SheetRow(line, values, {"row": too_many})
    if long := [name for name in FIELDS if len(values[name]) > _CELL]:
        short = {name: value[:_CELL] for name, value in values.items()}
        return SheetRow(line, short, {long[0]: Phrase("at most %(most)s characters", most=_CELL)})
    values["role"] = values["role"].lower()
    registration, wrong = check_fields(values)
    name = unicodedata.normalize("NFC", values["name"]).lower()
    if (before := names.get(name)) is not None and name:
        wrong["name"] = (
            Phrase("line %(line)s has this name, too", line=before)
            if before
            else Phrase("is taken already")
        )
    names.setdefault(name, line)
    return SheetRow(line, values, wrong, None if wrong else registration)
