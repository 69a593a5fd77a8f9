from hypothesis import given
from hypothesis import strategies as st

from p2pacs.dataset.search_options import LITERAL, SearchOptions
from p2pacs.dimse.association.contexts import FIND, GET
from p2pacs.dimse.association.extended_negotiation import negotiate

STUDY = FIND["STUDY"]


def test_what_is_asked_for_is_done() -> None:
    options, answers = negotiate({STUDY: b"\1\1\1\1\1\1\1"}, LITERAL)
    assert options == {STUDY: SearchOptions(relational=True, combined=True, fuzzy=True)}
    assert answers == {STUDY: b"\1\1\1\0\0\0\1"}


def test_what_is_not_asked_for_is_not_done() -> None:
    options, answers = negotiate({STUDY: b"\0\1"}, LITERAL)
    assert options == {STUDY: SearchOptions(combined=True)}
    assert answers == {STUDY: b"\0\1"}


def test_what_is_always_done_is_said() -> None:
    options, answers = negotiate({STUDY: b"\0\0\0"}, SearchOptions(fuzzy=True))
    assert options == {STUDY: SearchOptions(fuzzy=True)}
    assert answers == {STUDY: b"\0\0\1"}


def test_other_classes_are_not_answered() -> None:
    assert negotiate({GET["STUDY"]: b"\1", "1.2.840.10008.1.1": b"\1"}, LITERAL) == ({}, {})


@given(st.binary(max_size=20))
def test_whatever_is_sent(information: bytes) -> None:
    options, answers = negotiate({STUDY: information}, LITERAL)
    assert len(answers[STUDY]) == min(len(information), 7)
    assert options[STUDY].relational == (information[:1] == b"\1")
