import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from p2pacs.errors import NotFoundError
from p2pacs.web.numbers import DIGITS, number_of, whole_number


@given(st.integers(0, 10**DIGITS - 1))
def test_numbers_are_read(number: int) -> None:
    assert whole_number(str(number)) == number


@pytest.mark.parametrize("text", ["", "-1", "1.0", "²", "٣", " 1", "1_0", "9" * (DIGITS + 1)])
def test_what_is_none(text: str) -> None:
    assert whole_number(text) is None


@given(st.text())
def test_no_text_is_an_error(text: str) -> None:
    whole_number(text)
    whole_number(text * 5000)


def test_of_a_path() -> None:
    def asked(text: str) -> Request:
        return Request({"type": "http", "path_params": {"number": text}})

    assert number_of(asked("12")) == 12
    with pytest.raises(NotFoundError):
        number_of(asked("9" * 5000))
