import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.languages import speaking
from p2pacs.pages import words


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Doe^John", "Doe, John"),
        ("Doe^John^^Dr", "Doe, John, Dr"),
        ("Yamada^Tarou=山田^太郎", "Yamada, Tarou (山田, 太郎)"),
        ("=山田", "山田"),
        ("", ""),
        ("\u202eDoe", "\\u202eDoe"),
    ],
)
def test_names(name: str, shown: str) -> None:
    assert words.person(name) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, ""),
        (0, "now"),
        (40, "40 s left"),
        (200, "3 min left"),
        (7300, "2 h left"),
        (1e6, "12 days left"),
    ],
)
def test_time_left(seconds: float | None, shown: str) -> None:
    assert words.left(seconds) == shown


@pytest.mark.parametrize(
    ("rate", "shown"),
    [
        (0, "0 bit/s"),
        (10, "80 bit/s"),
        (1000, "8.0 kbit/s"),
        (1.5e6, "12 Mbit/s"),
        (2e8, "1.6 Gbit/s"),
    ],
)
def test_rates(rate: float, shown: str) -> None:
    assert words.rate(rate) == shown


def test_dates_times_and_counts() -> None:
    assert (words.day("20240131"), words.day("2024"), words.day("")) == ("2024-01-31", "2024", "")
    assert (words.clock("153012.5"), words.clock("9")) == ("15:30", "9")
    assert (words.sex("F"), words.sex("X")) == ("female", "X")
    assert [words.images(n) for n in (None, 1, 2)] == ["", "1 image", "2 images"]
    assert (words.amount(5, 0), words.amount(1000, 2000)) == ("5 B", "1.0 kB of 2.0 kB")


def test_in_the_language_of_the_reader() -> None:
    with speaking("de"):
        assert words.day("20240131") == "31.01.2024"
        assert (words.sex("F"), words.left(1e5), words.left(1e6)) == (
            "weiblich",
            "noch 28 h",
            "noch 12 Tage",
        )
        assert words.amount(1500, 12_345_678) == "1,5 kB von 12,3 MB"
        assert words.images(12345) == "12.345 Bilder"
        assert words.ago(30) == "Stand von jetzt."
        assert words.person("Doe^John") == "Doe, John"


@given(st.text())
def test_whatever_it_is_it_can_be_shown(text: str) -> None:
    for shown in (words.person(text), words.day(text), words.clock(text), words.sex(text)):
        assert "\x1b" not in shown
        assert "\n" not in shown
