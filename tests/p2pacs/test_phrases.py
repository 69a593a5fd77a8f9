"""Texts that remember their values."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.errors import UsageError
from p2pacs.languages import said, speaking
from p2pacs.phrases import Moment, Phrase, both, counted
from p2pacs.units import ByteCount


def test_a_phrase_is_an_english_text() -> None:
    phrase = Phrase("%(name)s has joined: it can only be revoked", name="North")
    assert phrase == "North has joined: it can only be revoked"
    assert f"{phrase}." == "North has joined: it can only be revoked."


def test_an_error_keeps_it() -> None:
    with pytest.raises(UsageError) as raised:
        raise UsageError(Phrase("a column stands there twice"))
    told = str(raised.value)
    assert isinstance(told, Phrase)
    with speaking("de"):
        assert said(told) == "eine Spalte steht zweimal da"
    assert said(told) == "a column stands there twice"


def test_values_are_said_too() -> None:
    inner = Phrase("expected a value for %(keyword)s", keyword="Modality")
    outer = Phrase("%(field)s: %(why)s", field="read", why=inner)
    assert outer == "read: expected a value for Modality"
    free = Phrase("%(free)s of %(all)s are free.", free=ByteCount(1_500_000), all=ByteCount(10**9))
    since = Phrase("It answers since %(time)s.", time=Moment(1_700_000_000_000))
    assert both(free, since) == (
        "1.5 MB of 1.0 GB are free. It answers since 2023-11-14 22:13 UTC."
    )
    with speaking("de"):
        assert said(outer) == "read: erwartet wird ein Wert für Modality"
        assert said(both(free, since)) == (
            "1,5 MB von 1,0 GB sind frei. Es antwortet seit 14.11.2023 22:13 UTC."
        )


@pytest.mark.parametrize(
    ("number", "english", "german"),
    [
        (0, "It is good for 0 more days.", "Gilt noch 0 Tage."),
        (1, "It is good for 1 more day.", "Gilt noch 1 Tag."),
        (12345, "It is good for 12345 more days.", "Gilt noch 12.345 Tage."),
    ],
)
def test_what_depends_on_a_number(number: int, english: str, german: str) -> None:
    phrase = counted(
        "It is good for %(num)s more day.", "It is good for %(num)s more days.", number
    )
    assert phrase == english
    with speaking("de"):
        assert said(phrase) == german


@given(st.text(), st.integers(0, 10**6))
def test_one_that_is_sent_to_another_process_is_the_same(name: str, number: int) -> None:
    for phrase in (Phrase("%(name)s and 100 %%", name=name), counted("1", "%(num)s", number)):
        again = pickle.loads(pickle.dumps(phrase))  # noqa: S301 - our own
        assert (again, again.text, again.values) == (phrase, phrase.text, phrase.values)
