"""Tables as CSV files (RFC 4180) that spreadsheets open safely, written while they are read."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from p2pacs.output.csv_text import quoted

CsvCell = str | int


def csv_lines(rows: Sequence[Sequence[CsvCell]]) -> bytes:
    """These rows, in UTF-8. Numbers stay numbers."""
    out = io.StringIO()
    writer = csv.writer(out)
    for row in rows:
        writer.writerow([quoted(cell) if isinstance(cell, str) else cell for cell in row])
    return out.getvalue().encode()


class CsvAnswer(StreamingResponse):
    """A file to be saved; what is read for it ends with the request, whatever happens."""

    def __init__(self, lines: AsyncGenerator[bytes, None], name: str) -> None:
        """An answer.

        Args:
            lines: from `csv_lines`; the next is asked for when the one before is on its way.
            name: of the file, plain ASCII.
        """
        super().__init__(lines, media_type="text/csv; charset=utf-8")
        self.headers["Content-Disposition"] = f'attachment; filename="{name}"'
        self._lines = lines

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        async with aclosing(self._lines):
            await super().__call__(scope, receive, send)
