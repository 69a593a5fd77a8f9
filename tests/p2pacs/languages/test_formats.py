import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.languages import formats, speaking
from p2pacs.units import format_bytes


@pytest.mark.parametrize(
    ("language", "number", "date"),
    [
        ("en", "12,345.7", "2024-01-31"),
        ("es", "12.345,7", "31/01/2024"),
        ("pt", "12.345,7", "31/01/2024"),
        ("de", "12.345,7", "31.01.2024"),
    ],
)
def test_numbers_and_dates(language: str, number: str, date: str) -> None:
    with speaking(language):
        assert formats.decimal(12345.67, 1) == number
        assert formats.whole(12345) == number[:-2]
        assert formats.whole(7) == "7"
        assert formats.day(2024, 1, 31) == date
        assert formats.minute(1_706_715_000_000) == f"{date} 15:30"


def test_sizes_and_rates() -> None:
    with speaking("de"):
        assert formats.size(999) == "999 B"
        assert formats.size(1_500_000) == "1,5 MB"
        assert formats.size(2.5e15) == "2.500,0 TB"
        assert formats.rate(3_480_000) == "3,5 Mbit/s"
        assert formats.rate(34_500_000) == "34 Mbit/s"
        assert formats.rate(12) == "12 bit/s"
        assert formats.percent(42) == "42 %"


@given(st.integers(0, 10**14))
def test_in_english_sizes_are_those_of_the_commands(count: int) -> None:
    assert formats.size(count) == format_bytes(count)


def test_sizes_at_an_axis() -> None:
    assert [formats.round_size(one) for one in (0, 500e6, 1.5e9, 2e12)] == [
        "0 B", "500 MB", "1.5 GB", "2 TB"
    ]  # fmt: skip
    with speaking("de"):
        assert (formats.round_size(5e8), formats.round_size(1.5e9)) == ("500 MB", "1,5 GB")
