import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.dataset.search_options import LITERAL, SearchOptions
from p2pacs.dimse.association.contexts import FIND, GET, MOVE
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


RETRIEVALS = [*MOVE.values(), *GET.values()]


@pytest.mark.parametrize("sop_class", RETRIEVALS)
def test_retrieval_may_be_relational(sop_class: str) -> None:
    options, answers = negotiate({sop_class: b"\1\1"}, SearchOptions(fuzzy=True))
    assert options == {sop_class: SearchOptions(relational=True)}
    assert answers == {sop_class: b"\1\0"}, "multi-frame images are not converted"
    assert negotiate({sop_class: b"\0"}, LITERAL) == ({sop_class: LITERAL}, {sop_class: b"\0"})


def test_other_classes_are_not_answered() -> None:
    assert negotiate({"1.2.840.10008.1.1": b"\1"}, LITERAL) == ({}, {})


@given(st.sampled_from(RETRIEVALS), st.binary(max_size=20))
def test_whatever_is_sent_for_a_retrieval(sop_class: str, information: bytes) -> None:
    options, answers = negotiate({sop_class: information}, LITERAL)
    assert len(answers[sop_class]) == min(len(information), 2)
    assert options[sop_class].relational == (information[:1] == b"\1")


@given(st.binary(max_size=20))
def test_whatever_is_sent(information: bytes) -> None:
    options, answers = negotiate({STUDY: information}, LITERAL)
    assert len(answers[STUDY]) == min(len(information), 7)
    assert options[STUDY].relational == (information[:1] == b"\1")
