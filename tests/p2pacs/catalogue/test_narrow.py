import re

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pacs.catalogue.matching import matcher, matches
from p2pacs.catalogue.narrow import TERMS, UNTOLD, narrowing, terms_of
from p2pacs.catalogue.records import SeriesRecord
from p2pacs.dataset.vocabulary import tag

from .samples import attributes, series, study

NAME, DATE, PATIENT = tag("PatientName"), tag("StudyDate"), tag("PatientID")
BIRTH, DESCRIPTION = tag("PatientBirthDate"), tag("StudyDescription")
REFERRING = tag("ReferringPhysicianName")
OPTIONAL = {"PatientBirthDate": "DA", "StudyDescription": "LO", "ReferringPhysicianName": "PN"}


def test_terms_are_what_a_study_is_found_by() -> None:
    record = study(1, series("1.5", "CT"), name="Yamada^T=山田", date="2024.01.31")
    assert terms_of(record) == {
        ("name", "yamada^t"),
        ("name", "山田"),
        ("patient", "P1"),
        ("date", "20240131"),
        ("modality", "CT"),
        ("series", "1.5"),
        ("sound", "Y530"),
        ("sound", "T000"),
        ("sound", "山田"),
        *((kind, UNTOLD) for kind in ("birth", "referring", "description")),
    }


def test_what_a_study_tells_empty_is_told() -> None:
    whole = study(1)
    empty = attributes(**{key: (vr, "") for key, vr in OPTIONAL.items()})
    record = evolve(whole, attributes=whole.attributes | empty)
    untold = {kind for kind, value in terms_of(record) if value == UNTOLD}
    assert untold == {"modality"}


def test_a_study_of_several_answers_has_a_term_that_says_so() -> None:
    other = SeriesRecord("1.2.1.2", attributes(PatientID=("LO", "P2")))
    assert ("several", "") in terms_of(study(1, series("1.2.1.1"), other))
    assert ("several", "") in terms_of(study(1, StudyTime=("TM", ""), date="20240101\\20240102"))
    assert ("several", "") not in terms_of(study(1, series("1.2.1.1"), series("1.2.1.2")))


def test_keys_narrow_by_operators_that_an_index_knows() -> None:
    assert narrowing(PATIENT, "LO", "P1") == [("patient", "=", "P1")]
    assert narrowing(PATIENT, "LO", "P[1*") == [("patient", "GLOB", "P[[]1*")]
    assert narrowing(NAME, "PN", "Doe^J*") == [("name", "GLOB", "doe^j*")]
    assert narrowing(DATE, "DA", "20240115-") == [("date", "BETWEEN", "20240000\00099991231")]
    modalities = tag("ModalitiesInStudy")
    assert narrowing(modalities, "CS", "CT\\MR", known=[modalities]) == [
        ("modality", "=", "CT"),
        ("modality", "=", "MR"),
    ]
    assert narrowing(BIRTH, "DA", "19600101") == [
        ("birth", "BETWEEN", "19600000\00019600101"),
        ("birth", "=", UNTOLD),
    ]
    assert narrowing(DESCRIPTION, "LO", "*Thorax*", known=[DESCRIPTION]) == [
        ("description", "GLOB", "*Thorax*")
    ]
    assert narrowing(REFERRING, "PN", "Maier", fuzzy=True, known=[REFERRING]) == [
        ("referring", "GLOB", "maier*"),
        ("referring sound", "=", "M600"),
    ]
    assert narrowing(NAME, "PN", "a*" * 40_000) is None
    assert narrowing(NAME, "PN", "Maier^A", fuzzy=True) == [
        ("name", "GLOB", "maier^a*"),
        ("sound", "=", "M600"),
    ]
    assert narrowing(DATE, "DA", "soon") is None
    assert narrowing(NAME, "PN", "*^?") is None
    assert narrowing(PATIENT, "LO", "") is None


def passes(key: str, vr: str, wanted: str, value: str, *, fuzzy: bool = False) -> bool:
    steps = narrowing(key, vr, wanted, fuzzy=fuzzy)
    held = terms_of(study(1, **{keyword(key): value}))
    return steps is None or any(
        kind == of and _holds(operator, operand, term)
        for kind, operator, operand in steps
        for of, term in held
    )


def keyword(key: str) -> str:
    return {NAME: "name", DATE: "date", PATIENT: "patient"}[key]


def _holds(operator: str, operand: str, term: str) -> bool:
    if operator == "=":
        return term == operand
    if operator == "BETWEEN":
        low, high = operand.split("\0")
        return low <= term <= high
    pattern = re.escape(operand.replace("[[]", "["))
    return bool(re.fullmatch(pattern.replace(r"\*", ".*").replace(r"\?", "."), term, re.DOTALL))


letters = st.text(alphabet="abA^=[É?*", min_size=1, max_size=7)


@settings(max_examples=300)
@given(letters, st.text(alphabet="abA^=[É", min_size=1, max_size=7))
def test_narrowing_never_loses_a_name(wanted: str, value: str) -> None:
    if matches("PN", wanted, [value]):
        assert passes(NAME, "PN", wanted, value)


@settings(max_examples=300)
@given(letters, st.text(alphabet="abA^=[É", min_size=1, max_size=7))
def test_narrowing_never_loses_a_name_that_sounds_alike(wanted: str, value: str) -> None:
    decide = matcher("PN", wanted, True)
    if decide is not None and decide([value]):
        assert passes(NAME, "PN", wanted, value, fuzzy=True)


@settings(max_examples=300)
@given(
    st.text(alphabet="012-", min_size=4, max_size=17),
    st.text(alphabet="012.", min_size=4, max_size=10),
)
def test_narrowing_never_loses_a_date(wanted: str, value: str) -> None:
    if matches("DA", wanted, [value]):
        assert passes(DATE, "DA", wanted, value)


@settings(max_examples=200)
@given(letters, st.text(alphabet="abA^=[É", min_size=1, max_size=7))
def test_narrowing_never_loses_a_patient_id(wanted: str, value: str) -> None:
    if matches("LO", wanted, [value]):
        assert passes(PATIENT, "LO", wanted, value)


def test_every_term_has_a_name_of_its_own() -> None:
    assert len(set(TERMS.values())) == len(TERMS)
