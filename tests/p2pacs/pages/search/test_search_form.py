from contextlib import suppress
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.catalogue.find import matching
from p2pacs.catalogue.question import Question
from p2pacs.errors import UsageError
from p2pacs.pages.search.search_form import FIELDS, LONGEST, StudySearch, name_pattern
from tests.p2pacs.catalogue.samples import series, study

TODAY = date(2024, 3, 1)


def finds(**form: str) -> bool:
    """Whether the form finds the one study of John Doe."""
    record = study(
        1,
        series("1.2.1.1", "CT"),
        name="Doe^John",
        patient="P1",
        date="20240229",
        StudyDescription=("LO", "CT Abdomen"),
        AccessionNumber=("SH", "A7"),
        ReferringPhysicianName=("PN", "House^Gregory"),
        PatientBirthDate=("DA", "19700102"),
    )
    question = Question.of("STUDY", "STUDY", StudySearch.of(form).keys(TODAY))
    return bool(list(matching([record], question)))


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"name": "doe"},
        {"name": "Doe, John"},
        {"name": "doe jo"},
        {"name": "*john"},
        {"name": "doe^john"},
        {"patient": "P1"},
        {"patient": " P* "},
        {"born": "1970-01-02"},
        {"span": "1"},
        {"since": "2024-02-01", "until": "20240301"},
        {"until": "2024-03-01", "span": "0"},
        {"modality": "ct"},
        {"description": "abdomen".title()},
        {"accession": "A7"},
        {"physician": "house"},
    ],
)
def test_what_people_type_finds_what_they_mean(form: dict[str, str]) -> None:
    assert finds(**form)


@pytest.mark.parametrize(
    "form",
    [
        {"name": "john"},
        {"patient": "P"},
        {"born": "1970-01-03"},
        {"span": "0"},
        {"since": "2024-03-01"},
        {"modality": "MR"},
        {"description": "Thorax"},
        {"accession": "A"},
        {"physician": "gregory"},
    ],
)
def test_and_nothing_else(form: dict[str, str]) -> None:
    assert not finds(**form)


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ({"born": "yesterday"}, "Birth date: write a date"),
        ({"since": "2024-03-02", "until": "2024-03-01"}, "must not be later"),
        ({"name": "x" * 999}, f"Patient name: at most {LONGEST}"),
        ({"patient": "a\\b"}, "Patient ID: without a backslash"),
        ({"patient": "a\x1bb"}, "Patient ID"),
        ({"span": "12"}, "Study date: choose"),
    ],
)
def test_what_cannot_be_is_said_and_not_repeated(form: dict[str, str], told: str) -> None:
    search = StudySearch.of(form)
    with pytest.raises(UsageError, match=told) as raised:
        search.keys(TODAY)
    assert all(value not in str(raised.value) for value in form.values() if len(value) > 2)


def test_what_identifies_a_patient_is_not_in_its_text() -> None:
    assert "Doe" not in repr(StudySearch.of({"name": "Doe", "patient": "P1"}))


@given(st.dictionaries(st.sampled_from(list(FIELDS)), st.text(max_size=80)))
def test_any_form_gives_keys_or_a_plain_error(form: dict[str, str]) -> None:
    with suppress(UsageError):
        Question.of("STUDY", "STUDY", StudySearch.of(form).keys(TODAY))


def test_a_name_of_nothing_is_no_condition() -> None:
    assert (name_pattern(""), name_pattern(" , ")) == ("", "")
    assert StudySearch.of({}).is_empty
    assert StudySearch.of({"physician": "x"}).is_detailed
