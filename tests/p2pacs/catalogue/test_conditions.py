"""Conditions as a database answers them: tables in memory, terms as studies have them."""

from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, create_engine, insert, select

from p2pacs.catalogue import schema
from p2pacs.catalogue.conditions import conditions, names_few
from p2pacs.catalogue.find import matching
from p2pacs.catalogue.narrow import terms_of
from p2pacs.catalogue.question import Question
from p2pacs.catalogue.records import StudyRecord
from p2pacs.dataset.json_model import Json
from tests.p2pacs.catalogue.samples import attributes, series, study

MAIER = study(1, series("1.2.1.1", "CT"), name="Maier^Anna", patient="P1", date="20240131")
MEIER = study(2, series("1.2.2.1", "MR"), name="Meier^Bert", patient="P2", date="20230615")
DOE = study(3, series("1.2.3.1", "CT"), series("1.2.3.2", "MR"), patient="P1", date="20240201")
STUDIES = [MAIER, MEIER, DOE]


def fill(connection: Connection, records: list[StudyRecord]) -> None:
    schema.metadata.create_all(connection)
    for number, record in enumerate(records, 1):
        row = {"id": number, "study": bytes([number]), "uid": record.uid}
        connection.execute(insert(schema.studies).values(**row, seq=number, record=b""))
        for kind, value in terms_of(record):
            term = {"kind": kind, "value": value, "study": number}
            connection.execute(insert(schema.terms).values(**term))


@cache
def filled() -> Connection:
    """To a database with the three studies, which is read only from now on."""
    connection = create_engine("sqlite://").connect()
    fill(connection, STUDIES)
    return connection


def met(level: str, keys: Json, *, fuzzy: bool = False) -> list[str]:
    """UIDs of the studies whose rows meet the conditions."""
    tests = conditions(level, keys, fuzzy=fuzzy)
    query = select(schema.studies.c.uid).where(*tests).order_by(schema.studies.c.id)
    return list(filled().execute(query).scalars())


@pytest.mark.parametrize(
    ("level", "keys", "expected"),
    [
        ("STUDY", {}, ["1.2.1", "1.2.2", "1.2.3"]),
        ("STUDY", {"PatientID": ("LO", "P1")}, ["1.2.1", "1.2.3"]),
        ("STUDY", {"PatientID": ("LO", "P1"), "StudyDate": ("DA", "-20240131")}, ["1.2.1"]),
        ("STUDY", {"StudyInstanceUID": ("UI", "1.2.1\\1.2.3")}, ["1.2.1", "1.2.3"]),
        ("STUDY", {"StudyInstanceUID": ("UI", "1.2.2"), "PatientID": ("LO", "P1")}, []),
        ("STUDY", {"StudyInstanceUID": ("UI", "*")}, ["1.2.1", "1.2.2", "1.2.3"]),
        ("SERIES", {"SeriesInstanceUID": ("UI", "1.2.3.2")}, ["1.2.3"]),
        ("STUDY", {"SeriesInstanceUID": ("UI", "1.2.3.2")}, ["1.2.1", "1.2.2", "1.2.3"]),
        ("PATIENT", {"PatientName": ("PN", "Maier*")}, ["1.2.1"]),
        # At patient level a date is none of the patient's: it narrows nothing.
        ("PATIENT", {"StudyDate": ("DA", "20240131")}, ["1.2.1", "1.2.2", "1.2.3"]),
        ("STUDY", {"ModalitiesInStudy": ("CS", "MR")}, ["1.2.2", "1.2.3"]),
    ],
)
def test_what_a_row_must_meet(
    level: str, keys: dict[str, tuple[str, str]], expected: list[str]
) -> None:
    assert met(level, attributes(**keys)) == expected


def test_names_that_sound_alike_are_let_through_where_that_was_agreed() -> None:
    keys = attributes(PatientName=("PN", "Mayer"))
    assert met("STUDY", keys) == []
    assert met("STUDY", keys, fuzzy=True) == ["1.2.1", "1.2.2"]


@pytest.mark.parametrize(
    ("keys", "few"),
    [
        ({}, False),
        ({"StudyDate": ("DA", "20240131"), "ModalitiesInStudy": ("CS", "CT")}, False),
        ({"PatientID": ("LO", "P1")}, True),
        ({"PatientName": ("PN", "*")}, False),
        ({"PatientName": ("PN", "M*")}, True),
        ({"StudyInstanceUID": ("UI", "1.2.1")}, True),
    ],
)
def test_a_search_that_names_somebody_finds_few(
    keys: dict[str, tuple[str, str]], few: bool
) -> None:
    assert names_few(attributes(**keys)) is few


values = st.fixed_dictionaries(
    {},
    optional={
        "PatientID": st.sampled_from(["P1", "P?", "P3", ""]).map(lambda v: ("LO", v)),
        "PatientName": st.sampled_from(["M*", "*ei*", "Doe^John", "?aier^Anna", "*"]).map(
            lambda v: ("PN", v)
        ),
        "StudyDate": st.sampled_from(["2024", "-20231231", "20240131-", "20240201"]).map(
            lambda v: ("DA", v)
        ),
        "ModalitiesInStudy": st.sampled_from(["CT", "MR", "US", "CT\\MR"]).map(lambda v: ("CS", v)),
    },
)


@settings(max_examples=60)
@given(values)
def test_no_study_that_matches_is_left_out(keys: dict[str, tuple[str, str]]) -> None:
    asked = attributes(**keys)
    question = Question.of("STUDY", "STUDY", asked)
    wanted = {one.uid for one in STUDIES if any(matching([one], question, frozenset()))}
    assert wanted <= set(met("STUDY", asked))
