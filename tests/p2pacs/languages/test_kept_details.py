"""Sentences of the trails in the reader's language."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.accounts.sign_in import SignInOutcome
from p2pacs.languages import speaking
from p2pacs.languages.kept_details import FROM_THE_BROKER, SIGN_IN, detail_words, refusal_words
from p2pacs.phrases import Phrase


@pytest.mark.parametrize(
    ("outcome", "german"),
    [
        (SignInOutcome("anna", "10.0.0.1", 0), "von 10.0.0.1"),
        (SignInOutcome("anna", "::1", 1), "von ::1: Name oder Passwort falsch"),
        (
            SignInOutcome("anna", "10.0.0.1", 7, code=True),
            "von 10.0.0.1: richtiges Passwort, falscher Code (7-mal in letzter Zeit)",
        ),
        (
            SignInOutcome("-", "", 9),
            "von weiteren Adressen: Name oder Passwort falsch (9-mal in letzter Zeit)",
        ),
    ],
)
def test_sign_ins(outcome: SignInOutcome, german: str) -> None:
    assert detail_words(outcome.detail, SIGN_IN) == outcome.detail
    with speaking("de"):
        assert detail_words(outcome.detail, SIGN_IN) == german


def test_what_the_broker_refused() -> None:
    with speaking("es"):
        assert refusal_words("North may not read study 1a2b: ask the administrator") == (
            "North no puede leer el estudio 1a2b: consulte al administrador"
        )
        assert refusal_words(Phrase("there is no such page")) == "no existe esa página"
        assert refusal_words("something else") == "something else"


@given(st.text(max_size=200))
def test_in_english_every_text_stays_as_it_is(text: str) -> None:
    assert detail_words(text, SIGN_IN + FROM_THE_BROKER) == text
