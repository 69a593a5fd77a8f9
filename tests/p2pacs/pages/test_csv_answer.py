import csv
import io
from collections.abc import AsyncGenerator

import httpx
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.pages.csv_answer import CsvAnswer, csv_lines

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"))


@given(st.lists(st.lists(TEXTS | st.integers(0, 10**12), min_size=2), max_size=5))
def test_what_is_written_is_read_and_nothing_is_computed(rows: list[list[str | int]]) -> None:
    read = list(csv.reader(io.StringIO(csv_lines(rows).decode(), newline="")))
    assert len(read) == len(rows)
    for row, cells in zip(rows, read, strict=True):
        for given_, cell in zip(row, cells, strict=True):
            assert cell in (str(given_), f"'{given_}")
            assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))


def test_a_formula_behind_a_space_or_in_full_width_is_text_too() -> None:
    assert csv_lines([(" =1", "\uff1d1", "1=1")]) == "' =1,'\uff1d1,1=1\r\n".encode()


async def test_it_is_sent_while_it_is_read() -> None:
    ended = []

    async def lines() -> AsyncGenerator[bytes, None]:
        try:
            yield csv_lines([("a", 1)])
            yield csv_lines([("=b", 2)])
        finally:
            ended.append(True)

    transport = httpx.ASGITransport(CsvAnswer(lines(), "x.csv"))
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as http:
        answer = await http.get("/")
    assert answer.text == "a,1\r\n'=b,2\r\n"
    assert answer.headers["content-disposition"] == 'attachment; filename="x.csv"'
    assert ended == [True]
